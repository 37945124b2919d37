use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::ToSchema;
use uuid::Uuid;

/// How many are told of, and how far back they are looked for; calls, of which there may be many, less far.
const MOST: i64 = 10;
const RECENT: TimeDelta = TimeDelta::days(1);
const RECENT_CALLS: TimeDelta = TimeDelta::hours(1);

/// Something that failed for somebody: by ids and codes, since what they wrote is nobody's business.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TicketError)]
pub(crate) struct Failure {
    /// Where: `client` (the log has it under this id), `generation` or `call`.
    pub(crate) kind: String,
    /// Identifies it.
    pub(crate) id: Uuid,
    /// What was wrong.
    pub(crate) code: String,
    /// In which request, if that is known.
    pub(crate) request_id: Option<String>,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

impl Failure {
    /// What failed last for `user` in `org`, the newest first.
    pub(crate) async fn recent(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        user: Id<User>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select kind as "kind!", id as "id!", code as "code!", request_id, at as "at!"
               from (select 'client' as kind, id, 'client_error' as code, request_id, created_at as at
                     from client_errors
                     where org_id = $1 and user_id = $2 and created_at > $3
                     union all
                     select 'generation', id, coalesce(problem->>'code', 'failed'), null, coalesce(finished_at, created_at)
                     from generations
                     where org_id = $1 and user_id = $2 and created_at > $3 and status = 'failed'
                     union all
                     select 'call', id, outcome, request_id, created_at
                     from usage_records
                     where org_id = $1 and user_id = $2 and created_at > $4
                       and outcome in ('partial', 'unknown')) failures
               order by at desc, id
               limit $5"#,
            org as _,
            user as _,
            now - RECENT,
            now - RECENT_CALLS,
            MOST,
        )
        .fetch_all(db)
        .await
    }
}
