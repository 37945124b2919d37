use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    body::to_bytes,
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
    Answer, Idempotency,
    key::Key,
    record::{Claim, Record},
    seal,
};

/// The largest answer that the layer keeps; a handler that takes the attempt keeps what it likes.
const LARGEST_ANSWER: u64 = 1024 * 1024;

/// One attempt at a request with an `Idempotency-Key`; handlers find it in the request's extensions.
#[derive(Clone, Debug)]
pub struct Attempt {
    idempotency: Idempotency,
    key: Key,
    record: Record,
    taken: Arc<AtomicBool>,
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
        Self { idempotency: idempotency.clone(), key, record, taken: Arc::default() }
    }

    /// Makes the handler responsible for the answer, as one is that charges: it must call
    /// [`Attempt::keep`] before it charges, or [`Attempt::release`] if it does not.
    pub fn take(&self) {
        self.taken.store(true, Ordering::Release);
    }

    /// Keeps the answer durably. `false` if the lease was over and a later attempt answers, or if
    /// the answer cannot be stored: then this attempt must have no effect.
    pub async fn keep(&self, answer: &Answer) -> bool {
        let secret = &self.idempotency.secrets[0];
        let sealed = seal::seal(secret, &self.key, &self.record.id, &answer.encode());
        let backoff = ExponentialBuilder::default().with_max_times(5).with_jitter();
        let kept = (|| self.store(&sealed)).retry(backoff).await;
        kept.unwrap_or_else(|error| {
            tracing::error!(%error, "the answer to an idempotent request could not be kept");
            false
        })
    }

    async fn store(&self, sealed: &[u8]) -> sqlx::Result<bool> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        let kept = self.record.complete(&mut tx, sealed).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Lets a repetition run: this attempt had no effect. `false` if it had one, or if nobody knows.
    pub async fn release(&self) -> bool {
        self.forget().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "an idempotency key stays in use until its lease is over");
            false
        })
    }

    async fn forget(&self) -> sqlx::Result<bool> {
        let mut tx = self.idempotency.db.tenant(self.record.org).await?;
        let forgotten = self.record.release(&mut tx).await?;
        tx.commit().await?;
        Ok(forgotten)
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
    pub(crate) async fn finish(&self, response: Response) -> Response {
        let failed = response.status().is_client_error() || response.status().is_server_error();
        if self.taken.load(Ordering::Acquire) || (failed && self.release().await) {
            return response;
        }
        let small = response.body().size_hint().upper().is_some_and(|it| it <= LARGEST_ANSWER);
        if !small {
            if let Err(error) = self.lose().await {
                tracing::error!(%error, "an idempotent request could not be marked as done");
            }
            return response;
        }
        let (parts, body) = response.into_parts();
        // In memory already, as its size is known.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        self.keep(&Answer::new(parts.status, &parts.headers, body.clone())).await;
        Response::from_parts(parts, body.into())
    }

    /// Remembers that the request was done, for want of an answer that could be kept.
    async fn lose(&self) -> sqlx::Result<()> {
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
