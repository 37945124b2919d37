use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use serde::{Deserialize, Serialize};
use usage::{Payer, Price};
use uuid::Uuid;

use crate::{Budget, Grant};

/// An AI call that wants to start, at the most it can cost.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who it is made for.
    pub org: Id<Org>,
    /// The person, or the maker of the API key.
    pub user: Id<User>,
    /// The key it is made with.
    pub api_key: Option<Id<ApiKey>>,
    /// The project it belongs to.
    pub project: Option<Uuid>,
    /// What is done, such as `chat`.
    pub operation: &'static str,
    /// Who will serve it.
    pub provider: String,
    /// Which model: the dearest that may be used.
    pub model: String,
    /// Its price.
    pub price: Price,
    /// The most tokens it can use.
    pub max_tokens: i64,
    /// The most it can cost.
    pub max_cost: NanoUsd,
    /// The request that makes it.
    pub request_id: Option<String>,
}

/// The right to make one call, written down before the provider is asked.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Identifies the call, here and in its usage record.
    pub id: Id<Hold>,
    /// What was asked for.
    pub call: Call,
    /// Who bears the cost if it ends well.
    pub paid_by: Payer,
    /// The most credits it can draw.
    pub credits: i64,
    /// After that the reaper ends it.
    pub expires_at: DateTime<Utc>,
    pub(crate) draws: Vec<Draw>,
}

/// What a hold reserves of one budget or grant. Stored in `holds.draws`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Draw {
    Budget { budget: Id<Budget>, period_start: DateTime<Utc>, amount: i64 },
    Grant { grant: Id<Grant>, amount: i64 },
}
