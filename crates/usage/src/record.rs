use std::fmt;

use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Price, Quantities};

/// One finished AI call. Serialises to a row of `usage_records`.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// That of the reservation, which is why a call is recorded once.
    pub id: Uuid,
    /// Who the call was made for.
    #[serde(rename = "org_id")]
    pub org: Id<Org>,
    /// The person, or the maker of the API key.
    #[serde(rename = "user_id")]
    pub user: Option<Id<User>>,
    /// The key it was made with.
    #[serde(rename = "api_key_id")]
    pub api_key: Option<Id<ApiKey>>,
    /// The project it belongs to.
    pub project_id: Option<Uuid>,
    /// What was done, such as `chat`.
    pub operation: String,
    /// Who served it.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// By which price.
    pub price_id: Id<Price>,
    /// How it ended.
    pub outcome: Outcome,
    /// Who bears the cost.
    pub paid_by: Payer,
    /// What was used.
    #[serde(flatten)]
    pub quantities: Quantities,
    /// Whether the quantities are our estimate, for want of the provider's.
    pub estimated: bool,
    /// What it costs us.
    pub cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub credits: i64,
    /// The request that made it.
    pub request_id: Option<String>,
    /// When it was reserved: the time that decides which day it counts for.
    pub reserved_at: DateTime<Utc>,
    /// When it ended.
    pub created_at: DateTime<Utc>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    /// Answered whole.
    Succeeded,
    /// Broke off after something was delivered.
    Partial,
    /// We never learned: the platform bears it, and reconciliation finds out.
    Unknown,
}

/// Who bears the cost of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Payer {
    /// Included in the plan.
    Plan,
    /// The org's credits.
    Credits,
    /// Us.
    Platform,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Credits => "credits",
            Self::Platform => "platform",
        })
    }
}

impl Record {
    /// Writes all of `records` in one statement.
    pub async fn insert_all(db: &mut PgConnection, records: &[Self]) -> sqlx::Result<()> {
        let rows =
            serde_json::to_value(records).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query!(
            "insert into usage_records (
                 id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
                 outcome, paid_by, input_tokens, cached_input_tokens, output_tokens, images, seconds,
                 estimated, cost_nano_usd, credits, request_id, reserved_at, created_at)
             select id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
                    outcome, paid_by, input_tokens, cached_input_tokens, output_tokens, images, seconds,
                    estimated, cost_nano_usd, credits, request_id, reserved_at, created_at
             from jsonb_populate_recordset(null::usage_records, $1)",
            rows,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
