use std::{collections::HashMap, sync::Arc};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Enqueue, Job};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{
    Handler, OrgJobs,
    claim::{Claimed, Held, lock_claims},
    handler::by_kind,
    run::Turn,
    webhook_events::JobEnded,
};

/// A turn in the queue. It belongs to no job: whoever's turn it is when it comes up is served, so that the many
/// jobs of one org do not stand before the one of another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ticket {}

/// What does the work.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    jobs: OrgJobs,
    handlers: Arc<HashMap<&'static str, Handler>>,
    kinds: Arc<[String]>,
}

impl Worker {
    pub(crate) fn new(jobs: OrgJobs, handlers: impl IntoIterator<Item = Handler>) -> Self {
        let handlers = by_kind(handlers);
        let kinds = handlers.keys().map(|kind| (*kind).to_owned()).collect();
        Self { jobs, handlers: Arc::new(handlers), kinds }
    }
}

impl Job for Ticket {
    const NAME: &'static str = "org_jobs.turn";
    const SLOW: bool = true;
    type Context = Worker;

    async fn run(self, worker: Worker) -> anyhow::Result<()> {
        let lease = jobs::running().context("runs as a job")?;
        let Some(claimed) = worker.jobs.claim(&lease, &worker.kinds).await? else {
            return Ok(());
        };
        let handler = worker.handlers.get(claimed.kind.as_str()).context("claims what it knows")?;
        match worker.jobs.work(&claimed, handler, &lease).await? {
            Turn::Over => worker.jobs.finish(&claimed).await?,
            Turn::Again(pause) => worker.jobs.put_back(&claimed, pause).await?,
        }
        Ok(())
    }
}

impl OrgJobs {
    async fn finish(&self, claimed: &Claimed) -> sqlx::Result<()> {
        let mut tx = self.db.begin().await?;
        lock_claims(&mut tx).await?;
        claimed.held.finish(&mut tx, self.clock.now()).await?;
        go_on(&mut tx, self.clock.now()).await?;
        tx.commit().await
    }

    async fn put_back(&self, claimed: &Claimed, pause: Option<TimeDelta>) -> sqlx::Result<()> {
        let at = pause.map(|pause| self.clock.now() + pause);
        let mut tx = self.db.begin().await?;
        lock_claims(&mut tx).await?;
        claimed.held.put_back(&mut tx, at).await?;
        let ticket = Enqueue::new(&Ticket {});
        pause.into_iter().fold(ticket, Enqueue::after).send(&mut tx).await?;
        go_on(&mut tx, self.clock.now()).await?;
        tx.commit().await
    }
}

/// Sees to it that there is a ticket, if somebody's turn has come: tickets that came up while every org had as much running as it may are gone.
pub(crate) async fn go_on(db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
    let waiting = sqlx::query_scalar!(
        r#"select exists (select from jobs where status = 'queued' and not_before <= $1) as "waiting!""#,
        now,
    );
    if waiting.fetch_one(&mut *db).await? && !jobs::is_ready::<Ticket>(&mut *db).await? {
        jobs::enqueue(db, &Ticket {}).await?;
    }
    Ok(())
}

impl Held {
    /// Ends the job. What is left of its items is called off with it.
    async fn finish(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        let ended = sqlx::query!(
            "update jobs
             set status = case when succeeded + failed < items then 'cancelled'
                               when failed = items then 'failed'
                               else 'succeeded' end,
                 percent = case when succeeded + failed < items then percent else 100 end,
                 ticket = null, finished_at = $4, revision = revision + 1, message = null
             where id = $1 and ticket = $2 and attempt = $3",
            self.job as _,
            self.ticket,
            self.attempt,
            now,
        );
        if ended.execute(&mut *db).await?.rows_affected() == 1 {
            sqlx::query!(
                "update job_items set status = 'cancelled'
                 where job_id = $1 and status in ('queued', 'running')",
                self.job as _,
            )
            .execute(&mut *db)
            .await?;
            JobEnded::tell(db, self.job, now).await?;
        }
        Ok(())
    }

    /// Lets the job wait, until `at` or for its next turn.
    async fn put_back(&self, db: &mut PgConnection, at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
        sqlx::query!(
            "update jobs
             set status = 'queued', ticket = null, not_before = coalesce($4, not_before), revision = revision + 1, message = null
             where id = $1 and ticket = $2 and attempt = $3",
            self.job as _,
            self.ticket,
            self.attempt,
            at,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
