use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Enqueue, Job};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use web::{Problem, RawJson};

use super::generation::{Generation, LEASE, Task};
use crate::{
    Ai,
    asked::{Asked, Context},
    batches::end_if_done,
    chat, embeddings,
    error::{OUTCOME, carrying_error},
    images,
};

/// How long one waits whose process is busy with others.
const BUSY: TimeDelta = TimeDelta::seconds(2);
/// How long one waits at least after a failure in which nothing was billed.
const PAUSE: TimeDelta = TimeDelta::seconds(15);

/// Makes the call of a generation.
///
/// It only begins it: calls take minutes, and must not keep mails waiting. From then on the
/// generation's lease says whether somebody works on it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunGeneration {
    pub(crate) id: Id<Generation>,
}

impl Job for RunGeneration {
    const NAME: &'static str = "ai.run_generation";
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        let now = ai.clock.now();
        let Ok(slot) = Arc::clone(&ai.background).try_acquire_owned() else {
            let mut db = ai.db.pool().acquire().await?;
            Enqueue::new(&self).after(BUSY).send(&mut db).await?;
            return Ok(());
        };
        let Some(task) = Generation::start(ai.db.pool(), self.id, now).await? else {
            return Ok(());
        };
        let owner = ai.clone();
        ai.spawn(async move {
            work(&owner, self.id, task).await;
            drop(slot);
        });
        Ok(())
    }
}

/// Makes the call of one that was taken on, and notes how it ended.
pub(crate) async fn work(ai: &Ai, id: Id<Generation>, task: Task) {
    let (org, expires_at, batch) = (task.by.org, task.expires_at, task.batch);
    let answer = tokio::select! {
        answer = call(ai, task) => answer,
        () = keep_leased(ai, id) => unreachable!("renews until the call has ended"),
    };
    let ended = match &answer {
        Ok(answer) => finish(ai, id, Ok(answer)).await,
        Err(problem) => {
            let again = again_at(ai, org, problem).await.filter(|at| *at < expires_at);
            let problem = carrying_error(problem.clone()).body(None);
            match again {
                Some(at) => put_back(ai, id, at).await,
                None => finish(ai, id, Err(&problem)).await,
            }
        }
    };
    if let Err(error) = ended {
        tracing::error!(generation = %id, %error, "the end of a generation could not be noted");
    }
    if let Some(batch) = batch
        && let Err(error) = end_if_done(ai.db.pool(), batch, ai.clock.now()).await
    {
        tracing::warn!(%batch, %error, "the end of a batch is looked for again in a minute");
    }
}

async fn call(ai: &Ai, task: Task) -> Result<String, Problem> {
    let body = RawJson(task.request.into());
    let asked = ask(ai, task.by, &task.operation, body).await?;
    let answer = ai.complete(asked).await?.body;
    let answer = String::from_utf8(answer.into()).map_err(Problem::internal)?;
    // Postgres keeps no U+0000, which JSON may only contain escaped.
    Ok(answer.replace('\0', ""))
}

/// Understands a request that nobody waits for.
pub(crate) async fn ask(
    ai: &Ai,
    context: impl Into<Context>,
    operation: &str,
    body: RawJson,
) -> Result<Asked, Problem> {
    let context = context.into();
    match operation {
        "chat" => {
            let (asked, streaming) = chat::ask(ai, context, body).await?;
            let detail = "must not be set for an answer that nobody waits for";
            streaming.map_or(Ok(asked), |_| Err(Problem::invalid_field("/stream", detail)))
        }
        "embedding" => embeddings::ask(ai, context, body).await,
        _ => images::ask(ai, context, body).await,
    }
}

/// When to try again; `None`: never, since it may have been billed, or would fail again.
pub(crate) async fn again_at(ai: &Ai, org: Id<Org>, problem: &Problem) -> Option<DateTime<Utc>> {
    let now = ai.clock.now();
    if let Some(resets_at) = problem.extension("resets_at").and_then(Value::as_str) {
        let waits = ai.controls.of(org).await.is_ok_and(|controls| controls.waits());
        return resets_at.parse().ok().filter(|_| waits);
    }
    let certainly_unbilled = problem.is_retryable() && problem.extension(OUTCOME).is_none();
    (certainly_unbilled && problem.status != StatusCode::TOO_MANY_REQUESTS).then(|| now + PAUSE)
}

async fn keep_leased(ai: &Ai, id: Id<Generation>) {
    let pause = LEASE.to_std().unwrap_or(Duration::from_mins(1)) / 4;
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = Generation::renew(ai.db.pool(), id, ai.clock.now()).await {
            tracing::warn!(generation = %id, %error, "a generation's lease was not renewed");
        }
    }
}

async fn finish(ai: &Ai, id: Id<Generation>, answer: Result<&String, &Value>) -> sqlx::Result<()> {
    let (answer, now) = (answer.map(String::as_str), ai.clock.now());
    let mut tx = ai.db.begin().await?;
    if let Some(ended) = Generation::finish(&mut *tx, id, answer, now).await? {
        ended.tell(ai, &mut tx, answer.err(), now).await?;
    }
    tx.commit().await
}

async fn put_back(ai: &Ai, id: Id<Generation>, at: DateTime<Utc>) -> sqlx::Result<()> {
    let mut tx = ai.db.begin().await?;
    Generation::put_back(&mut tx, id, at).await?;
    Enqueue::new(&RunGeneration { id }).after(at - ai.clock.now()).send(&mut tx).await?;
    tx.commit().await
}

/// What is told of a call whose outcome is not known.
pub(crate) fn outcome_unknown() -> Value {
    let detail = "we lost track of this call; you were not charged";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", detail)
        .action("Send it again.")
        .body(None)
}

/// Ends generations whose process died. Their calls may have been billed, so they are not made again;
/// the customer pays nothing for them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndLostGenerations {}

impl Job for EndLostGenerations {
    const NAME: &'static str = "ai.end_lost_generations";
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        let now = ai.clock.now();
        let problem = outcome_unknown();
        let mut tx = ai.db.begin().await?;
        let lost = Generation::end_lost(&mut *tx, &problem, now).await?;
        for ended in &lost {
            ended.tell(&ai, &mut tx, Some(&problem), now).await?;
        }
        tx.commit().await?;
        if !lost.is_empty() {
            tracing::warn!(ended = lost.len(), "generations were lost with their process");
        }
        Ok(())
    }
}
