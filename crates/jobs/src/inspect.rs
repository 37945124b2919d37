use sqlx::{FromRow, PgExecutor};

/// How full the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Stats {
    /// Due and waiting for a worker.
    pub ready: i64,
    /// Held by a worker.
    pub running: i64,
    /// Out of attempts.
    pub failed: i64,
    /// How long the first of the ready ones has been due; 0 if none is.
    pub oldest_ready_seconds: i64,
}

/// A job that is out of attempts and stays in the table until somebody decides.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Failed {
    /// Its row in the queue.
    pub id: i64,
    /// [`Job::NAME`](crate::Job::NAME).
    pub name: String,
    /// How often it was tried.
    pub attempts: i16,
    /// Why the last attempt failed.
    pub last_error: String,
}

/// Counts the queue.
pub async fn stats(db: impl PgExecutor<'_>) -> sqlx::Result<Stats> {
    sqlx::query_as(
        "select count(*) filter (where ready) as ready,
                count(*) filter (where locked_at is not null) as running,
                count(*) filter (where dead) as failed,
                coalesce(extract(epoch from now() - min(run_at) filter (where ready)), 0)::bigint
                    as oldest_ready_seconds
         from graphile_worker.jobs,
              lateral (select locked_at is null and attempts < max_attempts and run_at <= now() as ready,
                              locked_at is null and attempts >= max_attempts and not exists (
                                  select from graphile_worker._private_job_retirements superseded
                                  where superseded.id = jobs.id) as dead) state",
    )
    .fetch_one(db)
    .await
}

/// The dead letters, newest first, at most a hundred.
pub async fn failed(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Failed>> {
    // A job whose key was queued again is superseded: its successor does the work.
    sqlx::query_as(
        "select id, task_identifier as name, attempts, coalesce(last_error, '') as last_error
         from graphile_worker.jobs
         where locked_at is null and attempts >= max_attempts and not exists (
             select from graphile_worker._private_job_retirements superseded
             where superseded.id = jobs.id)
         order by updated_at desc, id desc
         limit 100",
    )
    .fetch_all(db)
    .await
}
