use chrono::TimeDelta;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::Job;

/// Queues `job`; workers see it when the caller's transaction commits.
///
/// The connection must belong to the owner: the tenant role has no access to the queue.
pub async fn enqueue<J: Job>(db: &mut PgConnection, job: &J) -> sqlx::Result<()> {
    Enqueue::new(job).send(db).await
}

/// Queues jobs in one round trip, each with a [key](Enqueue::key), as soon as possible. Give them in the order
/// of their keys if others may queue the same ones at the same time.
pub async fn enqueue_all<J: Job>(db: &mut PgConnection, jobs: &[(String, J)]) -> sqlx::Result<()> {
    let (keys, payloads): (Vec<_>, Vec<_>) =
        jobs.iter().map(|(key, job)| (key.as_str(), Json(Envelope { job }))).unzip();
    sqlx::query(
        "select count(*) from graphile_worker.add_jobs((
             select array_agg(
                 ($1, payload, null, null, $2, key, null, null)::graphile_worker.job_spec order by position)
             from unnest($3::text[], $4::json[]) with ordinality as it (key, payload, position)))",
    )
    .bind(J::NAME)
    .bind(i32::from(J::MAX_ATTEMPTS))
    .bind(keys)
    .bind(payloads)
    .execute(db)
    .await?;
    Ok(())
}

/// A job to be queued in a particular way: `Enqueue::new(&job).key("…").send(&mut tx)`.
#[must_use = "nothing is queued before `send`"]
pub struct Enqueue<'a, J> {
    job: &'a J,
    key: Option<String>,
    pause: Option<TimeDelta>,
    urgent: bool,
}

impl<'a, J: Job> Enqueue<'a, J> {
    /// Starts with the defaults: as soon as possible, without a key, in the order of queueing.
    pub fn new(job: &'a J) -> Self {
        Self { job, key: None, pause: None, urgent: false }
    }

    /// Keeps at most one waiting job with this key; the one queued last replaces its payload and time.
    ///
    /// A job that is already running is not replaced but followed by the new one. Keys are shared
    /// by all jobs, so begin them with the job's name. The key is locked until the transaction ends.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Runs the job after `pause` or as soon as possible then. It is counted by the database's clock, by which
    /// the queue goes: by another one the time might be over already, and what puts itself off would do so
    /// again and again without a pause.
    pub fn after(mut self, pause: TimeDelta) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Runs the job before others that became due up to ten minutes before it, because somebody waits.
    ///
    /// It is a head start and no more: however many urgent jobs come, what has waited for ten minutes is
    /// next. Without effect together with [`after`](Self::after).
    pub fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Queues the job; workers see it when the caller's transaction commits.
    pub async fn send(self, db: &mut PgConnection) -> sqlx::Result<()> {
        let Self { job, key, pause, urgent } = self;
        // The library's own method logs the payload and reduces errors to text.
        sqlx::query(
            "select id from graphile_worker.add_job(
                 identifier => $1, payload => $2::json,
                 run_at => coalesce(now() + $3, case when $6 then now() - interval '10 minutes' end),
                 max_attempts => $4, job_key => $5)",
        )
        .bind(J::NAME)
        .bind(Json(Envelope { job }))
        .bind(pause)
        .bind(i32::from(J::MAX_ATTEMPTS))
        .bind(key)
        .bind(urgent)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The payload as stored. Bare, the library would turn null into an object, add a field to an
/// object that came from a schedule, and append an array to the one it should replace.
#[derive(Serialize)]
struct Envelope<T> {
    job: T,
}

/// The stored form of `job`, for SQL that queues it itself: `ensure_job(name, payload, attempts)`, of which there
/// is one for all, makes sure that it begins after the transaction has ended, and costs next to nothing if it is
/// queued already.
pub fn payload<J: Job>(job: &J) -> serde_json::Result<Value> {
    serde_json::to_value(Envelope { job })
}
