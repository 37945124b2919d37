use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};
use utoipa::ToSchema;

/// Every job with what became of it so far. One that another with its key has replaced is none: its successor
/// does the work. Urgent ones are queued with an earlier time than the real one.
const QUEUE: &str = "
    (select job.id, task.identifier as name, job.attempts, job.max_attempts, job.key, job.created_at,
            job.run_at, job.locked_by, job.last_error,
            greatest(job.run_at, job.created_at) as due_at,
            case when job.locked_at is not null then 'running'
                 when job.attempts >= job.max_attempts then 'dead'
                 when job.run_at <= now() then 'ready'
                 else 'waiting' end as state
     from graphile_worker._private_jobs job
     join graphile_worker._private_tasks task on task.id = job.task_id
     where job.locked_at is not null
        or not exists (select from graphile_worker._private_job_retirements it where it.id = job.id)) job";

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

/// How many jobs of one kind there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, FromRow)]
#[schema(as = QueueStatus)]
pub struct Kind {
    /// The kind of job.
    #[serde(rename = "kind")]
    pub name: String,
    /// Due and waiting for a worker.
    pub ready: i64,
    /// Held by a worker.
    pub running: i64,
    /// Not due yet: for later, or to be tried again.
    pub waiting: i64,
    /// Out of attempts: somebody has to decide.
    pub dead: i64,
    /// How long the first of the ready ones has been due; 0 if none is.
    pub oldest_seconds: i64,
}

impl Kind {
    pub(crate) fn empty(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, ready: 0, running: 0, waiting: 0, dead: 0, oldest_seconds: 0 }
    }
}

/// What a background job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = BackgroundJobState)]
pub enum State {
    /// Due, and waits for a worker.
    Ready,
    /// Held by a worker.
    Running,
    /// Not due yet: for later, or to be tried again.
    Waiting,
    /// Out of attempts.
    Dead,
}

/// A job in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, FromRow)]
#[schema(as = BackgroundJob)]
pub struct Queued {
    /// Names it.
    pub id: i64,
    /// What it does.
    #[serde(rename = "kind")]
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// How often it was tried.
    pub attempts: i16,
    /// How often it may be.
    pub max_attempts: i16,
    /// What makes it the only one of its kind.
    pub key: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// The worker that holds it.
    #[serde(rename = "worker")]
    pub locked_by: Option<String>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What it carries; only when it is asked for alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    #[sqlx(default)]
    pub payload: Option<Value>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its row in the queue.
    pub id: i64,
    /// [`Job::NAME`](crate::Job::NAME).
    pub name: String,
    /// How often it was tried.
    pub attempts: i16,
    /// Why.
    pub last_error: String,
}

/// Which jobs to look at.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this name.
    pub name: Option<String>,
    /// Only those that are doing this.
    pub state: Option<State>,
    /// Only those queued before this one.
    pub before: Option<i64>,
}

/// Counts the queue.
pub async fn stats(db: impl PgExecutor<'_>) -> sqlx::Result<Stats> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select count(*) filter (where state = 'ready') as ready,
                count(*) filter (where state = 'running') as running,
                count(*) filter (where state = 'dead') as failed,
                {OLDEST} as oldest_ready_seconds
         from {QUEUE}"
    )))
    .fetch_one(db)
    .await
}

const OLDEST: &str =
    "coalesce(extract(epoch from now() - min(due_at) filter (where state = 'ready')), 0)::bigint";

/// Counts the queue, name by name.
pub async fn kinds(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Kind>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select name,
                count(*) filter (where state = 'ready') as ready,
                count(*) filter (where state = 'running') as running,
                count(*) filter (where state = 'waiting') as waiting,
                count(*) filter (where state = 'dead') as dead,
                {OLDEST} as oldest_seconds
         from {QUEUE}
         group by name
         order by name"
    )))
    .fetch_all(db)
    .await
}

/// Up to `rows` jobs, the newest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    rows: i64,
) -> sqlx::Result<Vec<Queued>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select * from {QUEUE}
         where ($1::text is null or name = $1) and ($2::text is null or state = $2)
           and ($3::bigint is null or id < $3)
         order by id desc
         limit $4"
    )))
    .bind(&filter.name)
    .bind(filter.state)
    .bind(filter.before)
    .bind(rows)
    .fetch_all(db)
    .await
}

/// One job, with what it carries.
pub async fn find(db: impl PgExecutor<'_>, id: i64) -> sqlx::Result<Option<Queued>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select job.*, raw.payload -> 'job' as payload
         from {QUEUE} join graphile_worker._private_jobs raw using (id)
         where id = $1"
    )))
    .bind(id)
    .fetch_optional(db)
    .await
}

/// How often in a row a scheduled job was due again before it had succeeded, of the one that is worst off. Each time
/// it begins anew with all its attempts, so it never becomes a dead letter.
pub async fn missed_slots(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    let most = sqlx::query_scalar(
        "select coalesce(max(job.revision), 0)::bigint
         from graphile_worker._private_jobs job
         join graphile_worker._private_known_crontabs it on it.identifier = job.key",
    );
    most.fetch_one(db).await
}

/// Those of `ids` that are still to be done, or are being done.
pub async fn alive(db: impl PgExecutor<'_>, ids: &[i64]) -> sqlx::Result<Vec<i64>> {
    let alive = sqlx::query_scalar(
        "select id from graphile_worker._private_jobs
         where id = any($1) and (locked_at is not null or attempts < max_attempts)",
    );
    alive.bind(ids).fetch_all(db).await
}

/// Whether a job with this [key](crate::Enqueue::key) waits or is being done.
pub async fn is_queued(db: impl PgExecutor<'_>, key: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from graphile_worker._private_jobs where key = $1)")
        .bind(key)
        .fetch_one(db)
        .await
}

/// Whether a `J` is due and waits for a worker.
pub async fn is_ready<J: crate::Job>(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    let ready = sqlx::query_scalar(
        "select exists (
             select from graphile_worker._private_jobs
             where is_available and run_at <= now()
               and task_id = (select id from graphile_worker._private_tasks where identifier = $1))",
    );
    ready.bind(J::NAME).fetch_one(db).await
}
