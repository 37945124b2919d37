use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::{Page, Problem};

use super::position::Position;
use crate::{Error, Outcome, Payer, Result};

/// Which calls to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordsQuery {
    /// Calls that ended then or later.
    pub from: Option<DateTime<Utc>>,
    /// Calls that ended before then.
    pub to: Option<DateTime<Utc>>,
    /// Only calls of this model.
    pub model: Option<String>,
    /// Only calls that this provider served.
    pub provider: Option<String>,
    /// Only calls that did this, such as `chat`.
    pub operation: Option<String>,
    /// Only calls of this person or the API keys they made.
    pub user: Option<Uuid>,
    /// Only calls with this API key.
    pub key: Option<Uuid>,
    /// Only calls for this project.
    pub project: Option<Uuid>,
    /// Only calls that ended so.
    #[param(inline)]
    pub outcome: Option<Outcome>,
    /// Calls per page; ignored by exports.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A finished AI call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageRecord)]
pub(crate) struct Shown {
    /// Identifies the call.
    pub(crate) id: Uuid,
    /// When it ended.
    pub(crate) ended_at: DateTime<Utc>,
    /// When it began.
    pub(crate) began_at: DateTime<Utc>,
    /// Who served it.
    pub(crate) provider: String,
    /// Which model.
    pub(crate) model: String,
    /// What was done, such as `chat`.
    pub(crate) operation: String,
    /// The person, or the maker of the API key.
    #[schema(value_type = Option<Uuid>)]
    pub(crate) user: Option<Id<User>>,
    /// The API key.
    #[schema(value_type = Option<Uuid>)]
    pub(crate) key: Option<Id<ApiKey>>,
    /// The project.
    pub(crate) project: Option<Uuid>,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Who bears the cost.
    pub(crate) paid_by: Payer,
    /// Prompt tokens, cached ones included.
    pub(crate) input_tokens: i64,
    /// Prompt tokens the provider had cached.
    pub(crate) cached_input_tokens: i64,
    /// Prompt tokens the provider wrote into its cache.
    pub(crate) cache_write_tokens: i64,
    /// Prompt tokens the provider wrote into its cache to last.
    pub(crate) long_cache_write_tokens: i64,
    /// Tokens of the answer.
    pub(crate) output_tokens: i64,
    /// Images made.
    pub(crate) images: i64,
    /// Whether it cost what calls in a batch do.
    pub(crate) in_batch: bool,
    /// Whether the quantities are our estimate, for want of the provider's.
    pub(crate) estimated: bool,
    /// What it cost at the provider, in nano-USD.
    pub(crate) cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub(crate) credits: i64,
    /// The request that made it.
    pub(crate) request_id: Option<String>,
}

/// What is listed, newest first, and where the list goes on.
pub(crate) struct Listed {
    org: Id<Org>,
    query: RecordsQuery,
    from: DateTime<Utc>,
    next: Position,
}

impl Listed {
    /// Begins where `query` says; without an end, at `now`.
    pub(crate) fn new(org: Id<Org>, query: RecordsQuery, now: DateTime<Utc>) -> Result<Self> {
        let to = query.to.unwrap_or(now + chrono::TimeDelta::microseconds(1));
        let next = match &query.cursor {
            Some(cursor) => Position::decode(cursor)?,
            None => Position::before(to),
        };
        let from = query.from.unwrap_or(DateTime::UNIX_EPOCH);
        if from > to { Err(Error::InvalidRange) } else { Ok(Self { org, query, from, next }) }
    }

    /// The next page of as many calls as were asked for.
    pub(crate) async fn page(mut self, db: impl PgExecutor<'_>) -> web::Result<Page<Shown>> {
        let limit = self.query.limit.unwrap_or(20);
        if !(1..=100).contains(&limit) {
            let detail = "limit must be between 1 and 100";
            return Err(Problem::unprocessable("invalid_limit", detail));
        }
        // One more than asked for tells whether there is another page.
        let mut items = self.read(db, i64::from(limit) + 1).await?;
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let last = items.last().filter(|_| more).map(|last| position(last).encode());
        Ok(Page { items, next_cursor: last })
    }

    /// The next `limit` calls.
    pub(crate) async fn read(
        &mut self,
        db: impl PgExecutor<'_>,
        limit: i64,
    ) -> sqlx::Result<Vec<Shown>> {
        let query = &self.query;
        let rows = sqlx::query_as!(
            Shown,
            r#"select id, created_at as ended_at, reserved_at as began_at, provider, model, operation,
                      user_id as "user: _", api_key_id as "key: _", project_id as project,
                      outcome as "outcome: _", paid_by as "paid_by: _", input_tokens,
                      cached_input_tokens, cache_write_tokens, long_cache_write_tokens,
                      output_tokens, images, in_batch, estimated,
                      cost_nano_usd as "cost_nano_usd: _", credits, request_id
               from usage_records
               where org_id = $1
                 and created_at >= $2 and created_at <= $3 and (created_at, id) < ($3, $4)
                 and ($5::text is null or model = $5)
                 and ($6::text is null or provider = $6)
                 and ($7::text is null or operation = $7)
                 and ($8::uuid is null or user_id = $8)
                 and ($9::uuid is null or api_key_id = $9)
                 and ($10::uuid is null or project_id = $10)
                 and ($11::text is null or outcome = $11)
               order by created_at desc, id desc
               limit $12"#,
            self.org as _,
            self.from,
            self.next.ended_at,
            self.next.id,
            query.model,
            query.provider,
            query.operation,
            query.user,
            query.key,
            query.project,
            query.outcome as _,
            limit,
        )
        .fetch_all(db)
        .await?;
        if let Some(last) = rows.last() {
            self.next = position(last);
        }
        Ok(rows)
    }
}

fn position(shown: &Shown) -> Position {
    Position { ended_at: shown.ended_at, id: shown.id }
}
