use chrono::{DateTime, Utc};
use jobs::Lease;
use kernel::{ApiKey, Id, Org, User};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

use crate::{By, OrgJob, OrgJobs, ticket::go_on, webhook_events::JobStarted};

/// A job that is worked on, by whom: a ticket, and its how manyth claim. Whoever took it over has another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) job: Id<OrgJob>,
    pub(crate) ticket: i64,
    pub(crate) attempt: i32,
}

/// A job that was just taken on.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) held: Held,
    pub(crate) kind: String,
    pub(crate) by: By,
    pub(crate) items: i32,
}

struct Row {
    id: Id<OrgJob>,
    attempt: i32,
    kind: String,
    org: Id<Org>,
    user: Id<User>,
    api_key: Option<Id<ApiKey>>,
    items: i32,
}

impl Row {
    fn claimed(self, ticket: i64) -> Claimed {
        let held = Held { job: self.id, ticket, attempt: self.attempt };
        let by = By { org: self.org, user: self.user, api_key: self.api_key };
        Claimed { held, kind: self.kind, by, items: self.items }
    }
}

/// Something still to do.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) position: i32,
    pub(crate) input: Value,
    pub(crate) tries: i16,
    /// It was begun by a process that has died.
    pub(crate) begun: bool,
}

impl OrgJobs {
    /// What the holder of `lease` is to do: the job it held when its process died, or else the one whose turn it is.
    pub(crate) async fn claim(
        &self,
        lease: &Lease,
        kinds: &[String],
    ) -> sqlx::Result<Option<Claimed>> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let claimed = match resume(&mut tx, lease.job).await? {
            Some(row) => Some(row),
            None => next(&mut tx, lease.job, kinds, self.config.org_jobs_running, now).await?,
        };
        if let Some(row) = &claimed {
            if row.attempt == 1 {
                let (job_id, kind, items) = (row.id, row.kind.clone(), row.items);
                let started = JobStarted { job_id, kind, items };
                webhooks::emit(&mut tx, row.org, &started, now).await?;
            }
            // Two that ended at the same time may have seen each other's ticket, and left one for both.
            go_on(&mut tx, now).await?;
        }
        tx.commit().await?;
        Ok(claimed.map(|row| row.claimed(lease.job)))
    }
}

async fn resume(db: &mut PgConnection, ticket: i64) -> sqlx::Result<Option<Row>> {
    sqlx::query_as!(
        Row,
        r#"update jobs set attempt = attempt + 1
           where ticket = $1 and status = 'running'
           returning id as "id: _", attempt, kind, org_id as "org: _", user_id as "user: _",
                     api_key_id as "api_key: _", items"#,
        ticket,
    )
    .fetch_optional(db)
    .await
}

/// Lets nobody else take or end a job before the transaction ends, so that each sees what the others took.
pub(crate) async fn lock_claims(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('org_jobs.claim', 0))")
        .execute(db)
        .await?;
    Ok(())
}

/// The oldest job of the org that has the fewest running, and of several such orgs that which was served the
/// longest ago.
async fn next(
    db: &mut PgConnection,
    ticket: i64,
    kinds: &[String],
    at_once: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Row>> {
    lock_claims(db).await?;
    sqlx::query_as!(
        Row,
        r#"with recursive waiting (org_id) as (
               (select org_id from jobs where status = 'queued' order by org_id limit 1)
               union all
               select (select j.org_id from jobs j where j.status = 'queued' and j.org_id > w.org_id
                       order by j.org_id limit 1)
               from waiting w where w.org_id is not null)
           update jobs
           set status = 'running', ticket = $1, attempt = attempt + 1, revision = revision + 1,
               turn = nextval('job_turns'), started_at = coalesce(started_at, $4)
           where id = (
               select oldest.id
               from waiting w
               cross join lateral (
                   select j.id from jobs j
                   where j.org_id = w.org_id and j.status = 'queued' and j.not_before <= $4 and j.kind = any($2)
                   order by j.id limit 1) oldest
               cross join lateral (
                   select count(*) as running from jobs j
                   where j.org_id = w.org_id and j.status = 'running') busy
               cross join lateral (
                   select max(turn) as turn from jobs j where j.org_id = w.org_id) served
               where busy.running < $3
               order by busy.running, served.turn nulls first, oldest.id
               limit 1)
             and status = 'queued'
           returning id as "id: _", attempt, kind, org_id as "org: _", user_id as "user: _",
                     api_key_id as "api_key: _", items"#,
        ticket,
        kinds,
        at_once,
        now,
    )
    .fetch_optional(db)
    .await
}

impl Held {
    /// What is left to do; first what was tried the least.
    pub(crate) async fn pending(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Pending>> {
        sqlx::query_as!(
            Pending,
            r#"select position, input, tries, status = 'running' as "begun!"
               from job_items
               where job_id = $1 and status in ('queued', 'running')
               order by tries, position"#,
            self.job as _,
        )
        .fetch_all(db)
        .await
    }

    /// Whether it was called off; `None` if somebody else holds the job by now.
    pub(crate) async fn is_cancelled(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Option<bool>> {
        sqlx::query_scalar!(
            r#"select cancelled_at is not null as "cancelled!"
               from jobs where id = $1 and ticket = $2 and attempt = $3"#,
            self.job as _,
            self.ticket,
            self.attempt,
        )
        .fetch_optional(db)
        .await
    }

    /// Begins an item; `false` if the job is no longer ours, or was called off.
    pub(crate) async fn begin(&self, db: impl PgExecutor<'_>, position: i32) -> sqlx::Result<bool> {
        let begun = sqlx::query!(
            "with held as (
                 select id from jobs
                 where id = $1 and ticket = $2 and attempt = $3 and cancelled_at is null
                 for share)
             update job_items set status = 'running', tries = tries + 1
             from held
             where job_id = held.id and position = $4 and status in ('queued', 'running')",
            self.job as _,
            self.ticket,
            self.attempt,
            position,
        );
        Ok(begun.execute(db).await?.rows_affected() == 1)
    }

    /// Notes what came of an item, and how far the job is; `false` if the job is no longer ours.
    pub(crate) async fn end(
        &self,
        db: impl PgExecutor<'_>,
        position: i32,
        outcome: Result<&Value, &Value>,
    ) -> sqlx::Result<bool> {
        let ended = sqlx::query!(
            "with held as (
                 update jobs
                 set succeeded = succeeded + $5, failed = failed + 1 - $5, revision = revision + 1,
                     percent = 100 * (succeeded + failed + 1) / items
                 where id = $1 and ticket = $2 and attempt = $3
                   and exists (select from job_items i
                               where i.job_id = $1 and i.position = $4 and i.status = 'running')
                 returning id)
             update job_items set status = case $5 when 1 then 'succeeded' else 'failed' end,
                                  result = $6, problem = $7
             from held
             where job_id = held.id and position = $4",
            self.job as _,
            self.ticket,
            self.attempt,
            position,
            i32::from(outcome.is_ok()),
            outcome.ok(),
            outcome.err(),
        );
        Ok(ended.execute(db).await?.rows_affected() == 1)
    }

    /// Lets an item wait to be tried again.
    pub(crate) async fn put_off(&self, db: impl PgExecutor<'_>, position: i32) -> sqlx::Result<()> {
        sqlx::query!(
            "update job_items i set status = 'queued'
             from jobs j
             where j.id = $1 and j.ticket = $2 and j.attempt = $3
               and i.job_id = j.id and i.position = $4 and i.status = 'running'",
            self.job as _,
            self.ticket,
            self.attempt,
            position,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
