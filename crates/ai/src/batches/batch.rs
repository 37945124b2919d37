use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    file::File,
    lines::{Line, Mistake},
};
use crate::{asked::CalledBy, generations::Generation};

/// How long a batch may take. What has not begun by then is not made.
pub(super) const WINDOW: TimeDelta = TimeDelta::hours(24);

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = AiBatchStatus)]
pub(crate) enum Status {
    /// Its calls are being made.
    InProgress,
    /// Every call was made, well or not.
    Completed,
    /// Its file could not be read as a batch; nothing was made.
    Failed,
    /// Time ran out before every call was made.
    Expired,
    /// Calls in flight end; no more are made.
    Cancelling,
    /// It was called off.
    Cancelled,
}

/// Many calls at once.
pub(crate) struct Batch {
    pub(super) id: Id<Batch>,
    pub(super) operation: String,
    pub(super) input_file: Id<File>,
    pub(super) metadata: Option<Value>,
    pub(super) status: Status,
    pub(super) errors: Option<Json<Vec<Mistake>>>,
    pub(super) total: i32,
    pub(super) completed: i32,
    pub(super) failed: i32,
    pub(super) output_file: Option<Id<File>>,
    pub(super) error_file: Option<Id<File>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) cancelling_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
}

/// A batch to be made.
pub(super) struct NewBatch<'a> {
    pub(super) by: CalledBy,
    pub(super) operation: &'static str,
    pub(super) input_file: Id<File>,
    pub(super) metadata: Option<&'a Value>,
    pub(super) lines: Result<&'a [Line<'a>], &'a [Mistake]>,
    /// Whether a provider may make it as a batch of its own.
    pub(super) unsorted: bool,
}

impl NewBatch<'_> {
    pub(super) async fn insert(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Id<Batch>> {
        let id = Id::<Batch>::new();
        let status = if self.lines.is_ok() { Status::InProgress } else { Status::Failed };
        let total = i32::try_from(self.lines.map_or(0, <[_]>::len)).unwrap_or(i32::MAX);
        sqlx::query!(
            "insert into ai_batches (id, org_id, operation, input_file_id, metadata, status, errors,
                                     total, created_at, expires_at, ended_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            id as _,
            self.by.org as _,
            self.operation,
            self.input_file as _,
            self.metadata as _,
            status as _,
            self.lines.err().map(Json) as _,
            total,
            now,
            now + WINDOW,
            self.lines.is_err().then_some(now),
        )
        .execute(&mut *db)
        .await?;
        if let Ok(lines) = self.lines {
            self.insert_calls(db, id, lines, now).await?;
        }
        Ok(id)
    }

    async fn insert_calls(
        &self,
        db: &mut PgConnection,
        batch: Id<Batch>,
        lines: &[Line<'_>],
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let ids: Vec<Uuid> = lines.iter().map(|_| Id::<Generation>::new().uuid()).collect();
        let custom_ids: Vec<_> = lines.iter().map(|it| it.custom_id.clone()).collect();
        let requests: Vec<_> = lines.iter().map(|it| it.request.to_owned()).collect();
        sqlx::query!(
            "insert into generations (id, org_id, user_id, api_key_id, operation, request, status,
                                      created_at, expires_at, batch_id, custom_id, line, unsorted)
             select call.id, $4, $5, $6, $7, call.request, 'queued', $8, $9, $10, call.custom_id, call.line,
                    $11
             from unnest($1::uuid[], $2::text[], $3::text[])
                  with ordinality as call (id, custom_id, request, line)",
            &ids,
            &custom_ids,
            &requests,
            self.by.org as _,
            self.by.user as _,
            self.by.api_key as _,
            self.operation,
            now,
            now + WINDOW,
            batch as _,
            self.unsorted,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Batch {
    /// One of the org whose transaction this is.
    pub(super) async fn find(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        let mut found = Self::list(db, Some(id), None, 1).await?;
        Ok(found.pop())
    }

    /// Those of the org whose transaction this is, the newest first.
    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        only: Option<Id<Self>>,
        after: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select b.id as "id: _", b.operation,
                      b.input_file_id as "input_file: _", b.metadata, b.status as "status: _",
                      b.errors as "errors: _", b.total,
                      (b.completed + coalesce(calls.succeeded, 0))::int as "completed!",
                      (b.failed + coalesce(calls.failed, 0))::int as "failed!",
                      b.output_file_id as "output_file: _", b.error_file_id as "error_file: _",
                      b.created_at, b.expires_at, b.cancelling_at, b.ended_at
               from ai_batches b
               left join lateral (
                   select count(*) filter (where g.status = 'succeeded') as succeeded,
                          count(*) filter (where g.status = 'failed') as failed
                   from generations g
                   where g.batch_id = b.id and b.ended_at is null
               ) calls on true
               where ($1::uuid is null or b.id = $1) and ($2::uuid is null or b.id < $2)
               order by b.id desc
               limit $3"#,
            only as _,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// How many of the org whose transaction this is have not ended.
    pub(super) async fn open(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
        sqlx::query_scalar!(r#"select count(*) as "count!" from ai_batches where ended_at is null"#)
            .fetch_one(db)
            .await
    }

    /// Calls off what has not begun; `false` if it has ended, or is none of this org's.
    pub(super) async fn cancel(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let cancelling = sqlx::query!(
            "update ai_batches
             set status = 'cancelling', cancelling_at = coalesce(cancelling_at, $2)
             where id = $1 and ended_at is null",
            id as _,
            now,
        );
        if cancelling.execute(&mut *db).await?.rows_affected() == 0 {
            return Ok(false);
        }
        Self::call_off(db, id, now).await?;
        Ok(true)
    }

    /// No call of it begins any more, but for those that a provider has as a batch: that is to be stopped.
    pub(super) async fn call_off(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update generations set status = 'cancelled', finished_at = $2
             where batch_id = $1 and status = 'queued' and provider_batch_id is null",
            id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
