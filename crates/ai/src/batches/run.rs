use std::sync::Arc;

use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use super::{Batch, end_if_done};
use crate::{
    Ai, batch_lane,
    generations::{Generation, Task, work},
};

/// How long a batch that has ended is shown.
const SHOWN: chrono::TimeDelta = chrono::TimeDelta::days(30);

/// Makes the calls of all batches, as many at the same time as there is room for, and ends batches
/// that are done.
///
/// It only begins: each call is followed by the next one. Run again every minute, it goes on where a
/// process that died has stopped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunBatches {}

impl Job for RunBatches {
    const NAME: &'static str = "ai.run_batches";
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        begin(&ai).await?;
        expire(&ai).await?;
        let owner = ai.clone();
        ai.spawn(async move { with_providers(&owner).await });
        Ok(())
    }
}

/// Begins as many calls as there is room for.
async fn begin(ai: &Ai) -> sqlx::Result<()> {
    while let Ok(room) = Arc::clone(&ai.batched).try_acquire_owned() {
        let next = Generation::start_next_of_batches(ai.db.pool(), ai.clock.now()).await?;
        let Some(next) = next else { break };
        let owner = ai.clone();
        ai.spawn(async move { make_all(&owner, next, room).await });
    }
    Ok(())
}

/// Gives providers what they make as batches of their own, and takes what they have made.
async fn with_providers(ai: &Ai) {
    let done = async {
        if batch_lane::sort(ai).await? {
            begin(ai).await?;
        }
        if batch_lane::advance_all(ai).await? {
            begin(ai).await?;
        }
        anyhow::Ok(())
    };
    if let Err(error) = done.await {
        tracing::warn!(%error, "batches at providers pause for a minute at most");
    }
}

/// Makes a call, then the next one of any batch, until none waits.
async fn make_all(ai: &Ai, first: (Id<Generation>, Task), _room: OwnedSemaphorePermit) {
    let mut next = Some(first);
    while let Some((id, task)) = next {
        work(ai, id, task).await;
        next = Generation::start_next_of_batches(ai.db.pool(), ai.clock.now())
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "batches pause for a minute at most");
                None
            });
    }
}

/// Ends batches that are done, and those whose time is over.
async fn expire(ai: &Ai) -> sqlx::Result<()> {
    let now = ai.clock.now();
    let open = sqlx::query!(
        r#"select id as "id: Id<Batch>", expires_at
           from ai_batches b
           where ended_at is null
             and (expires_at <= $1
                  or not exists (select from generations g
                                 where g.batch_id = b.id and g.status in ('queued', 'running')))"#,
        now,
    )
    .fetch_all(ai.db.pool())
    .await?;
    for batch in open {
        if batch.expires_at <= now {
            let mut tx = ai.db.begin().await?;
            Batch::call_off(&mut tx, batch.id, now).await?;
            tx.commit().await?;
        }
        end_if_done(ai.db.pool(), batch.id, now).await?;
    }
    Ok(())
}

/// Deletes files whose time is over, and batches that ended long ago.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeBatches {}

impl Job for PurgeBatches {
    const NAME: &'static str = "ai.purge_batches";
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        let now = ai.clock.now();
        sqlx::query!("delete from ai_files where expires_at < $1", now)
            .execute(ai.db.pool())
            .await?;
        sqlx::query!("delete from ai_batches where ended_at < $1", now - SHOWN)
            .execute(ai.db.pool())
            .await?;
        Ok(())
    }
}
