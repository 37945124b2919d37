use app::Event;
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{OrgJob, Status};

/// What customers' programs are told when a job begins.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobStarted {
    /// Which job.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) job_id: Id<OrgJob>,
    /// What is done.
    pub(crate) kind: String,
    /// How many items it has.
    pub(crate) items: i32,
}

impl Event for JobStarted {
    const TYPE: &'static str = "job.started";
    const DESCRIPTION: &'static str = "The first items of a job are being done.";

    fn example() -> Self {
        Self { job_id: example_id(), kind: "projects.draft".to_owned(), items: 10 }
    }
}

/// What they are told when it ends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobEnded {
    /// Which job: `GET /v1/jobs/{id}` and `/items` say what came of it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) job_id: Id<OrgJob>,
    /// What was done.
    pub(crate) kind: String,
    /// How it ended: `succeeded`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub(crate) status: Status,
    /// How many items it had.
    pub(crate) items: i32,
    /// How many of them succeeded.
    pub(crate) succeeded: i32,
    /// How many failed.
    pub(crate) failed: i32,
}

impl Event for JobEnded {
    const TYPE: &'static str = "job.ended";
    const DESCRIPTION: &'static str =
        "A job has come to its end: it is done, at least in part, or it failed, or was called off.";

    fn example() -> Self {
        Self {
            job_id: example_id(),
            kind: "projects.draft".to_owned(),
            status: Status::Succeeded,
            items: 10,
            succeeded: 9,
            failed: 1,
        }
    }
}

fn example_id() -> Id<OrgJob> {
    Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into()
}

impl JobEnded {
    /// Tells of a job that ends in this transaction.
    pub(crate) async fn tell(
        db: &mut PgConnection,
        id: Id<OrgJob>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let ended = sqlx::query!(
            r#"select org_id as "org: Id<Org>", kind, status as "status: Status", items, succeeded, failed
               from jobs where id = $1"#,
            id as _,
        )
        .fetch_one(&mut *db)
        .await?;
        let event = Self {
            job_id: id,
            kind: ended.kind,
            status: ended.status,
            items: ended.items,
            succeeded: ended.succeeded,
            failed: ended.failed,
        };
        webhooks::emit(db, ended.org, &event, now).await
    }
}
