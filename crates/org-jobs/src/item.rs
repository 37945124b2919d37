use kernel::Id;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{OrgJob, Status};

/// One of the things that a job does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobItem)]
pub(crate) struct Item {
    /// Which one, from 0.
    pub(crate) position: i32,
    /// How far it is.
    pub(crate) status: Status,
    /// What came of it, if it succeeded.
    #[schema(value_type = Option<Object>)]
    pub(crate) result: Option<Value>,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    pub(crate) problem: Option<Value>,
}

impl Item {
    /// Up to `rows` of a job of the org whose transaction this is, from the one that follows `after`.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        job: Id<OrgJob>,
        after: Option<i32>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select position, status as "status: _", result, problem
               from job_items
               where job_id = $1 and position > coalesce($2, -1)
               order by position
               limit $3"#,
            job as _,
            after,
            rows,
        )
        .fetch_all(db)
        .await
    }
}
