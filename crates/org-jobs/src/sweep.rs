use axum::http::StatusCode;
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use web::Problem;

use crate::{OrgJob, OrgJobs, ticket::go_on, webhook_events::JobEnded};

/// Jobs per statement, each with up to 10,000 items: long statements are cancelled, and hold up others.
const BATCH: i64 = 20;

/// Looks after jobs that nobody works on although somebody should.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sweep {}

impl Job for Sweep {
    const NAME: &'static str = "org_jobs.sweep";
    type Context = OrgJobs;

    async fn run(self, jobs: OrgJobs) -> anyhow::Result<()> {
        jobs.end_lost().await?;
        let mut tx = jobs.db.begin().await?;
        go_on(&mut tx, jobs.clock.now()).await?;
        Ok(tx.commit().await?)
    }
}

impl OrgJobs {
    /// Ends jobs whose ticket has used up its attempts: whoever worked on them died, again and again.
    async fn end_lost(&self) -> sqlx::Result<()> {
        struct Running {
            id: Id<OrgJob>,
            ticket: i64,
        }
        let running = sqlx::query_as!(
            Running,
            r#"select id as "id: _", ticket as "ticket!" from jobs where status = 'running'"#,
        )
        .fetch_all(self.db.pool())
        .await?;
        let tickets: Vec<i64> = running.iter().map(|job| job.ticket).collect();
        let alive = jobs::alive(self.db.pool(), &tickets).await?;
        for job in running.iter().filter(|job| !alive.contains(&job.ticket)) {
            if self.give_up(job.id, job.ticket).await? {
                tracing::error!(job = %job.id, "a job was given up: its workers died");
            }
        }
        Ok(())
    }

    /// Ends a job; `false` if somebody works on it again, or it has ended.
    async fn give_up(&self, id: Id<OrgJob>, ticket: i64) -> sqlx::Result<bool> {
        let mut tx = self.db.begin().await?;
        let given_up = sqlx::query!(
            "update jobs
             set status = case when succeeded > 0 then 'succeeded' else 'failed' end,
                 failed = items - succeeded, ticket = null, finished_at = $3, revision = revision + 1,
                 percent = 100, message = null
             where id = $1 and ticket = $2",
            id as _,
            ticket,
            self.clock.now(),
        );
        let given_up = given_up.execute(&mut *tx).await?.rows_affected() == 1;
        if given_up {
            sqlx::query!(
                "update job_items set status = 'failed', problem = $2
                 where job_id = $1 and status in ('queued', 'running')",
                id as _,
                lost(),
            )
            .execute(&mut *tx)
            .await?;
            JobEnded::tell(&mut tx, id, self.clock.now()).await?;
        }
        tx.commit().await?;
        Ok(given_up)
    }
}

fn lost() -> Value {
    let detail = "we could not finish this";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "job_lost", detail)
        .action("Queue it again; if that fails too, tell us.")
        .body(None)
}

/// Forgets jobs whose time is over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Purge {}

impl Job for Purge {
    const NAME: &'static str = "org_jobs.purge";
    type Context = OrgJobs;

    async fn run(self, jobs: OrgJobs) -> anyhow::Result<()> {
        let now = jobs.clock.now();
        let purge = || {
            sqlx::query!(
                "delete from jobs where id in
                     (select id from jobs where expires_at < $1 and finished_at is not null limit $2)",
                now,
                BATCH,
            )
        };
        while purge().execute(jobs.db.pool()).await?.rows_affected() > 0 {}
        Ok(())
    }
}
