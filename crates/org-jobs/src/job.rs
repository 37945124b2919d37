use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::webhook_events::JobEnded;

/// How long a job is kept after it was queued.
pub(crate) const KEPT: TimeDelta = TimeDelta::days(7);

/// Work of an org that takes its time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct OrgJob {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<OrgJob>,
    /// What is done.
    pub kind: String,
    /// How far it is.
    pub status: Status,
    /// How much of it is done, in percent.
    #[schema(minimum = 0, maximum = 100)]
    pub percent: i16,
    /// What is being done just now.
    pub message: Option<String>,
    /// How many items it has.
    pub items: i32,
    /// How many of them succeeded.
    pub succeeded: i32,
    /// How many failed. A job succeeds unless all do.
    pub failed: i32,
    /// What came of it, if it has one item and that succeeded.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Why its one item failed.
    #[schema(value_type = Option<Object>)]
    pub problem: Option<Value>,
    /// Grows with every change; the id of the job's events.
    pub revision: i64,
    /// When it was called off. What is under way then still ends.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it is forgotten.
    pub expires_at: DateTime<Utc>,
}

/// How far a job, or an item of one, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = JobStatus)]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Somebody works on it.
    Running,
    /// It is done.
    Succeeded,
    /// Nothing came of it.
    Failed,
    /// It was called off.
    Cancelled,
}

impl Status {
    /// Whether nothing will happen any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl OrgJob {
    /// One of the org whose transaction this is.
    pub(crate) async fn find(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select j.id as "id: _", kind, j.status as "status: _", percent, message, items, succeeded,
                      failed, i.result as "result?", i.problem as "problem?", revision, cancelled_at,
                      created_at, started_at, finished_at, expires_at
               from jobs j
               left join job_items i on i.job_id = j.id and j.items = 1
               where j.id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Those of the org whose transaction this is, the newest first, without what came of them.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        kind: Option<&str>,
        status: Option<Status>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", kind, status as "status: _", percent, message, items, succeeded, failed,
                      null::json as result, null::json as problem, revision, cancelled_at, created_at,
                      started_at, finished_at, expires_at
               from jobs
               where ($1::text is null or kind = $1) and ($2::text is null or status = $2)
                 and ($3::uuid is null or id < $3)
               order by id desc
               limit $4"#,
            kind,
            status as _,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Calls off one of the org whose transaction this is: at once if it waits, after what is under way if it
    /// runs. `false` if it has ended.
    pub(crate) async fn cancel(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let status = sqlx::query_scalar!(
            r#"update jobs
               set cancelled_at = coalesce(cancelled_at, $2), revision = revision + 1,
                   status = case status when 'queued' then 'cancelled' else status end,
                   finished_at = case status when 'queued' then $2 end
               where id = $1 and status in ('queued', 'running')
               returning status as "status: Status""#,
            id as _,
            now,
        )
        .fetch_optional(&mut *db)
        .await?;
        if status == Some(Status::Cancelled) {
            let left =
                "update job_items set status = 'cancelled' where job_id = $1 and status = 'queued'";
            sqlx::query(left).bind(id).execute(&mut *db).await?;
            JobEnded::tell(db, id, now).await?;
        }
        Ok(status.is_some())
    }
}
