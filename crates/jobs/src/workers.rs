use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgExecutor};
use utoipa::ToSchema;

/// A worker, or what is known of one that died. It has slots for quick jobs or for slow ones, so a process
/// may have two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, FromRow)]
#[schema(as = WorkerStatus)]
pub struct Instance {
    /// Names it while it lives.
    pub id: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it last gave a sign of life.
    pub heard_at: DateTime<Utc>,
    /// How long ago that was. More than `JOBS_RESCUE_AFTER_SECONDS` means that it died, and that nobody has taken
    /// over its jobs yet.
    pub silent_seconds: i64,
    /// The jobs that it holds: running, or about to.
    pub jobs: i64,
}

/// Every worker that knows jobs, the one that was heard last first. One that died is forgotten when another has given back its
/// jobs.
pub async fn instances(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Instance>> {
    sqlx::query_as(
        "select id, started_at, last_heartbeat_at as heard_at,
                extract(epoch from now() - last_heartbeat_at)::bigint as silent_seconds,
                (select count(*) from graphile_worker._private_jobs job where job.locked_by = it.id)
                    as jobs
         from graphile_worker._private_workers it
         order by last_heartbeat_at desc",
    )
    .fetch_all(db)
    .await
}
