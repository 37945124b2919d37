use chrono::{DateTime, TimeDelta, Utc};
use kernel::{ApiKey, Id, Org, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Tier;

use super::Ended;
use crate::{asked::CalledBy, batches::Batch, retention::UNKEPT};

/// How long a request and its answer are kept.
pub(crate) const KEPT: TimeDelta = TimeDelta::hours(24);
/// A process that has not said for so long that it still works on one has died.
pub(crate) const LEASE: TimeDelta = TimeDelta::minutes(2);

/// An AI call that is made when there is room for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Generation {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Generation>,
    /// What is done: `chat`, `embedding` or `image`.
    pub(crate) operation: String,
    /// How far it is.
    pub(crate) status: Status,
    /// The provider's answer, if it succeeded.
    #[schema(value_type = Option<Object>)]
    pub(crate) answer: Option<Box<RawValue>>,
    /// Why it failed, as the call itself would have been answered.
    #[schema(value_type = Option<Object>)]
    pub(crate) problem: Option<Value>,
    /// It waits until then, for a budget to begin anew.
    pub(crate) not_before: Option<DateTime<Utc>>,
    /// When it was accepted.
    pub(crate) created_at: DateTime<Utc>,
    /// When the provider was asked.
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// When it is forgotten, request and answer.
    pub(crate) expires_at: DateTime<Utc>,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = GenerationStatus)]
pub(crate) enum Status {
    /// Waits for its turn.
    Queued,
    /// The provider works on it.
    Running,
    /// There is an answer.
    Succeeded,
    /// There is none, and there will be none.
    Failed,
    /// Called off before it began.
    Cancelled,
}

impl Status {
    /// Whether nothing will happen any more.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A generation to be accepted.
pub(crate) struct NewGeneration<'a> {
    pub(crate) by: CalledBy,
    pub(crate) operation: &'static str,
    pub(crate) request: &'a str,
}

/// What is needed to make the call.
pub(crate) struct Task {
    pub(crate) by: CalledBy,
    pub(crate) operation: String,
    pub(crate) request: String,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) batch: Option<Id<Batch>>,
}

/// One that was just taken on.
struct Started {
    id: Id<Generation>,
    org: Id<Org>,
    user: Id<User>,
    api_key: Option<Id<ApiKey>>,
    operation: String,
    request: String,
    expires_at: DateTime<Utc>,
    batch: Option<Id<Batch>>,
    tier: Option<Tier>,
}

impl Started {
    fn task(self) -> (Id<Generation>, Task) {
        let Self { id, org, user, api_key, operation, request, expires_at, batch, tier } = self;
        let by = CalledBy { org, user, api_key, tier: tier.unwrap_or_default() };
        (id, Task { by, operation, request, expires_at, batch })
    }
}

/// A row as it is stored.
struct Row {
    id: Id<Generation>,
    operation: String,
    status: Status,
    answer: Option<String>,
    problem: Option<Value>,
    not_before: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
}

impl From<Row> for Generation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            operation: row.operation,
            status: row.status,
            // It was JSON when the provider sent it.
            answer: row.answer.and_then(|text| RawValue::from_string(text).ok()),
            problem: row.problem,
            not_before: row.not_before,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
        }
    }
}

impl NewGeneration<'_> {
    /// Accepts it.
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Generation> {
        let row = sqlx::query_as!(
            Row,
            r#"insert into generations
                   (id, org_id, user_id, api_key_id, operation, request, status, created_at, expires_at)
               values ($1, $2, $3, $4, $5, $6, 'queued', $7, $8)
               returning id as "id: _", operation, status as "status: _", answer, problem, not_before,
                         created_at, started_at, finished_at, expires_at"#,
            Id::<Generation>::new() as _,
            self.by.org as _,
            self.by.user as _,
            self.by.api_key as _,
            self.operation,
            self.request,
            now,
            now + KEPT,
        )
        .fetch_one(db)
        .await?;
        Ok(row.into())
    }
}

impl Generation {
    /// One of the org whose transaction this is.
    pub(crate) async fn find(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        let row = sqlx::query_as!(
            Row,
            r#"select id as "id: _", operation, status as "status: _", answer, problem, not_before,
                      created_at, started_at, finished_at, expires_at
               from generations
               where id = $1 and expires_at > $2"#,
            id as _,
            now,
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map(Self::from))
    }

    /// Those of the org whose transaction this is, the newest first, without their answers.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        before: Option<Id<Self>>,
        rows: i64,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query_as!(
            Row,
            r#"select id as "id: _", operation, status as "status: _", null as answer, problem,
                      not_before, created_at, started_at, finished_at, expires_at
               from generations
               where ($1::uuid is null or id < $1) and expires_at > $3 and batch_id is null
               order by id desc
               limit $2"#,
            before as _,
            rows,
            now,
        )
        .fetch_all(db)
        .await?;
        Ok(rows.into_iter().map(Self::from).collect())
    }

    /// Calls off one that has not begun; `false` if it has, or is none of this org's.
    pub(crate) async fn cancel(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let cancelled = sqlx::query!(
            "update generations set status = 'cancelled', finished_at = $2, request = ''
             where id = $1 and status = 'queued' and provider_batch_id is null",
            id as _,
            now,
        );
        Ok(cancelled.execute(db).await?.rows_affected() == 1)
    }

    /// Takes a queued one on; `None` if another process did, or it was called off.
    pub(crate) async fn start(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Task>> {
        let row = sqlx::query_as!(
            Started,
            r#"update generations
               set status = 'running', started_at = $2, leased_until = $3, not_before = null
               where id = $1 and status = 'queued' and provider_batch_id is null and not unsorted
               returning id as "id: _", org_id as "org: _", user_id as "user: _",
                         api_key_id as "api_key: _", operation, request, expires_at,
                         batch_id as "batch: _",
                         (select tier from entitlements e where e.org_id = generations.org_id)
                             as "tier: _""#,
            id as _,
            now,
            now + LEASE,
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map(|row| row.task().1))
    }

    /// Takes on the next call of any batch.
    pub(crate) async fn start_next_of_batches(
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<(Id<Self>, Task)>> {
        let row = sqlx::query_as!(
            Started,
            r#"update generations
               set status = 'running', started_at = $1, leased_until = $2
               where id = (
                   select id from generations
                   where batch_id is not null and status = 'queued' and not_before is null
                     and not unsorted and provider_batch_id is null and expires_at > $1
                   order by line, id
                   limit 1
                   for update skip locked)
               returning id as "id: _", org_id as "org: _", user_id as "user: _",
                         api_key_id as "api_key: _", operation, request, expires_at,
                         batch_id as "batch: _",
                         (select tier from entitlements e where e.org_id = generations.org_id)
                             as "tier: _""#,
            now,
            now + LEASE,
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map(Started::task))
    }

    /// Says that it is still worked on.
    pub(crate) async fn renew(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update generations set leased_until = $2 where id = $1 and status = 'running'",
            id as _,
            now + LEASE,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Puts one that was taken on back, to be tried again at `not_before`.
    pub(crate) async fn put_back(
        db: &mut PgConnection,
        id: Id<Self>,
        not_before: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update generations
             set status = 'queued', started_at = null, leased_until = null, not_before = $2
             where id = $1 and status = 'running'",
            id as _,
            not_before,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Ends one that was taken on, with the answer or with the problem; `None` if that was done already.
    pub(crate) async fn finish(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        answer: Result<&str, &Value>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Ended>> {
        let status = if answer.is_ok() { Status::Succeeded } else { Status::Failed };
        sqlx::query_as!(
            Ended,
            r#"update generations
               set status = $2, answer = $3, problem = $4, leased_until = null, finished_at = $5,
                   request = case when batch_id is not null or keeps_prompts(org_id, user_id) then request else '' end,
                   expires_at = case when batch_id is not null or keeps_prompts(org_id, user_id) then expires_at
                                     else least(expires_at, $6) end
               where id = $1 and status = 'running'
               returning id as "id: _", org_id as "org: _", user_id as "user: _",
                         api_key_id as "api_key: _", operation, batch_id as "batch: _""#,
            id as _,
            status as _,
            answer.ok(),
            answer.err(),
            now,
            now + UNKEPT,
        )
        .fetch_optional(db)
        .await
    }

    /// Ends those whose process has died, with `problem`.
    pub(crate) async fn end_lost(
        db: impl PgExecutor<'_>,
        problem: &Value,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Ended>> {
        sqlx::query_as!(
            Ended,
            r#"update generations
               set status = 'failed', problem = $1, leased_until = null, finished_at = $2,
                   request = case when batch_id is not null or keeps_prompts(org_id, user_id) then request else '' end
               where status = 'running' and leased_until < $2
               returning id as "id: _", org_id as "org: _", user_id as "user: _",
                         api_key_id as "api_key: _", operation, batch_id as "batch: _""#,
            problem,
            now,
        )
        .fetch_all(db)
        .await
    }
}
