use axum::{
    body::{Bytes, to_bytes},
    http::{Method, Uri},
    response::Response,
};
use backon::{ExponentialBuilder, Retryable};
use chrono::TimeDelta;
use http_body::Body as _;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use web::{Caller, Problem};

use crate::{
    Idempotency,
    answer::Answer,
    key::Key,
    record::{Claim, Record},
    recording::{Recording, is_stream},
    seal,
};

/// One attempt at a request with an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    idempotency: Idempotency,
    key: Key,
    record: Record,
}

impl Attempt {
    pub(crate) fn new(
        idempotency: &Idempotency,
        caller: &Caller,
        key: Key,
        (method, route, uri): (&Method, &str, &Uri),
        body: &[u8],
    ) -> Self {
        let who = caller.api_key().map_or(caller.user.uuid(), kernel::Id::uuid);
        let record = Record {
            id: hash(&[
                caller.org.uuid().as_bytes(),
                who.as_bytes(),
                method.as_str().as_bytes(),
                route.as_bytes(),
                key.0.as_bytes(),
            ]),
            org: caller.org,
            fingerprint: hash(&[
                method.as_str().as_bytes(),
                uri.path_and_query().map_or("", |it| it.as_str()).as_bytes(),
                body,
            ]),
            attempt: Uuid::now_v7(),
        };
        Self { idempotency: idempotency.clone(), key, record }
    }

    /// See [`crate::take_effect`].
    pub(crate) async fn take_effect(&self) -> bool {
        self.promise().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "an effect that could not be written down does not happen");
            false
        })
    }

    async fn promise(&self) -> sqlx::Result<bool> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        let promised = self.record.take_effect(&mut tx).await?;
        tx.commit().await?;
        Ok(promised)
    }

    /// Keeps the answer; if it cannot be, a repetition is told that it was lost.
    async fn keep(&self, answer: &Answer) {
        let secret = &self.idempotency.secrets[0];
        let sealed = seal::seal(secret, &self.key, &self.record.id, &answer.encode());
        let backoff = ExponentialBuilder::default().with_max_times(5).with_jitter();
        match (|| self.store(&sealed)).retry(backoff).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("an answer came after its lease was over"),
            Err(error) => tracing::error!(%error, "an answer could not be kept"),
        }
    }

    async fn store(&self, sealed: &[u8]) -> sqlx::Result<bool> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        let kept = self.record.complete(&mut tx, sealed).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Lets a repetition run, unless this attempt had an effect. Whether it had; what cannot be found
    /// out now is found out by the repetition, when the lease is over.
    async fn had_effect(&self) -> bool {
        match self.release().await {
            Ok(released) => !released,
            Err(error) => {
                tracing::warn!(%error, "an idempotency key stays in use until its lease is over");
                false
            }
        }
    }

    async fn release(&self) -> sqlx::Result<bool> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        let released = self.record.release(&mut tx).await?;
        tx.commit().await?;
        Ok(released)
    }

    pub(crate) async fn claim(&self, lease: TimeDelta) -> Result<Claim, Problem> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        let claim = self.record.claim(&mut tx, self.idempotency.clock.now(), lease).await?;
        tx.commit().await?;
        Ok(claim)
    }

    pub(crate) fn preamble(&self) -> String {
        self.record.preamble()
    }

    /// Keeps what a handler answered. A failure that changed nothing is not kept: a repetition may
    /// do better.
    pub(crate) async fn finish(&self, response: Response, largest: u64) -> Response {
        let failed = response.status().is_client_error() || response.status().is_server_error();
        if failed && !self.had_effect().await {
            return response;
        }
        if is_stream(response.headers()) {
            return self.record(response);
        }
        if response.body().size_hint().upper().is_none_or(|size| size > largest) {
            self.lose().await;
            return response;
        }
        let (parts, body) = response.into_parts();
        // In memory already, as its size is known.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        self.keep(&Answer::new(parts.status, &parts.headers, body.clone())).await;
        Response::from_parts(parts, body.into())
    }

    /// Listens to a stream to its end, for the client and for all who join. It is kept if it had an
    /// effect, however it ended; without one a repetition runs.
    fn record(&self, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let head = Answer::new(parts.status, &parts.headers, Bytes::new());
        let recording = Recording::new(head);
        let told = recording.tell(0);
        self.idempotency.running.insert(self.record.id, recording.clone());
        let attempt = self.clone();
        self.idempotency.tasks.spawn(async move {
            let answer = recording.record(body).await;
            attempt.idempotency.running.remove(&attempt.record.id);
            if attempt.had_effect().await {
                match answer {
                    Some(answer) => attempt.keep(&answer).await,
                    None => attempt.lose().await,
                }
            }
        });
        Response::from_parts(parts, told)
    }

    /// The stream that is being told under this key, if this instance tells it.
    pub(crate) fn running(&self) -> Option<Recording> {
        self.idempotency.running.get(&self.record.id)
    }

    /// Remembers that the request was done, for want of an answer that could be kept.
    async fn lose(&self) {
        if let Err(error) = self.end_lease().await {
            tracing::error!(%error, "a request could not be marked as done");
        }
    }

    async fn end_lease(&self) -> sqlx::Result<()> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        self.record.lose(&mut tx, self.idempotency.clock.now()).await?;
        tx.commit().await
    }

    /// The answer that was kept under this key.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<Answer> {
        let secrets = &self.idempotency.secrets;
        let plain = seal::open(secrets, &self.key, &self.record.id, sealed)?;
        Answer::decode(&plain).ok()
    }
}

/// Of parts that cannot flow into each other.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
