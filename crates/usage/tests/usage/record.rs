use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use usage::{Outcome, Payer, Price, Quantities};
use uuid::Uuid;

/// A finished AI call as `quotas` writes it. Serialises to a row of `usage_records`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// That of the reservation, which is why a call is recorded once.
    pub(crate) id: Uuid,
    /// Who the call was made for.
    #[serde(rename = "org_id")]
    pub(crate) org: Id<Org>,
    /// The person, or the maker of the API key.
    #[serde(rename = "user_id")]
    pub(crate) user: Option<Id<User>>,
    /// The key it was made with.
    #[serde(rename = "api_key_id")]
    pub(crate) api_key: Option<Id<ApiKey>>,
    /// The project it belongs to.
    pub(crate) project_id: Option<Uuid>,
    /// What was done, such as `chat`.
    pub(crate) operation: String,
    /// Who served it.
    pub(crate) provider: String,
    /// Which model.
    pub(crate) model: String,
    /// By which price.
    pub(crate) price_id: Id<Price>,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Who bears the cost.
    pub(crate) paid_by: Payer,
    /// What was used.
    #[serde(flatten)]
    pub(crate) quantities: Quantities,
    /// Whether it was charged as a part of a batch.
    pub(crate) in_batch: bool,
    /// Whether the quantities are our estimate, for want of the provider's.
    pub(crate) estimated: bool,
    /// What it costs us.
    pub(crate) cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub(crate) credits: i64,
    /// The request that made it.
    pub(crate) request_id: Option<String>,
    /// When it was reserved: the time that decides which day it counts for.
    pub(crate) reserved_at: DateTime<Utc>,
    /// When it ended.
    pub(crate) created_at: DateTime<Utc>,
}

impl Record {
    /// Writes all of `records` in one statement.
    pub(crate) async fn insert_all(db: &mut PgConnection, records: &[Self]) -> sqlx::Result<()> {
        sqlx::query(
            "insert into usage_records (
                 id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
                 outcome, paid_by, input_tokens, cached_input_tokens, cache_write_tokens,
                 long_cache_write_tokens, output_tokens, images, seconds, in_batch, estimated, cost_nano_usd, credits, request_id, reserved_at, created_at)
             select id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
                    outcome, paid_by, input_tokens, cached_input_tokens, cache_write_tokens,
                    long_cache_write_tokens, output_tokens, images, seconds, in_batch, estimated, cost_nano_usd, credits, request_id, reserved_at, created_at
             from jsonb_populate_recordset(null::usage_records, $1)",
        )
        .bind(Json(records))
        .execute(db)
        .await?;
        Ok(())
    }
}
