use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use usage::{Payer, Price};
use uuid::Uuid;

use crate::{Budget, Grant, Standing, Unit, Used, book::NewHold};

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
    /// When it was made: never before the periods began that it counts for.
    pub created_at: DateTime<Utc>,
    /// After that the reaper ends it.
    pub expires_at: DateTime<Utc>,
    /// What was left when it was made.
    pub standing: Standing,
    pub(crate) draws: Vec<Draw>,
}

/// What a hold reserves of one budget or grant. It tells all that settling needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    Budget { budget: Id<Budget>, platform: bool, unit: Unit, period: DateTime<Utc>, amount: i64 },
    Grant { grant: Id<Grant>, amount: i64 },
}

impl Draw {
    fn row(&self) -> (Uuid, Option<DateTime<Utc>>, i64) {
        match self {
            Self::Budget { budget, period, amount, .. } => (budget.uuid(), Some(*period), *amount),
            Self::Grant { grant, amount } => (grant.uuid(), None, *amount),
        }
    }
}

impl Hold {
    /// The credits that it draws if it ends having used `used`.
    pub fn credits_drawn(&self, used: &Used) -> i64 {
        used.credits.clamp(0, self.credits)
    }

    /// What is left once it has ended having used `used`.
    pub fn standing_after(&self, used: &Used) -> Standing {
        self.standing.clone().after(used, (self.credits, self.credits_drawn(used)))
    }

    /// The row that keeps it.
    pub(crate) fn row(&self, instance: Uuid) -> NewHold {
        let call = &self.call;
        let draws = || self.draws.iter().map(Draw::row);
        NewHold {
            id: self.id.uuid(),
            org_id: call.org.uuid(),
            user_id: call.user.uuid(),
            api_key_id: call.api_key.map(Id::uuid),
            project_id: call.project,
            operation: call.operation.to_owned(),
            provider: call.provider.clone(),
            model: call.model.clone(),
            price_id: call.price.id.uuid(),
            paid_by: self.paid_by.to_string(),
            cost_nano_usd: call.max_cost.0,
            max_tokens: call.max_tokens,
            credits: self.credits,
            draw_ids: draws().map(|(id, ..)| id).collect(),
            draw_periods: draws().map(|(_, period, _)| period).collect(),
            draw_amounts: draws().map(|(.., amount)| amount).collect(),
            request_id: call.request_id.clone(),
            instance,
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

/// What settling needs to know of a hold.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: Id<Hold>,
    pub(crate) org: Id<Org>,
    pub(crate) user: Id<User>,
    pub(crate) api_key: Option<Id<ApiKey>>,
    pub(crate) project: Option<Uuid>,
    pub(crate) operation: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) price: Id<Price>,
    /// Whether it is charged as a part of a batch.
    pub(crate) in_batch: bool,
    pub(crate) paid_by: Payer,
    pub(crate) request_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) draws: Vec<Draw>,
}

impl From<&Hold> for Ended {
    fn from(hold: &Hold) -> Self {
        let call = &hold.call;
        Self {
            id: hold.id,
            org: call.org,
            user: call.user,
            api_key: call.api_key,
            project: call.project,
            operation: call.operation.to_owned(),
            provider: call.provider.clone(),
            model: call.model.clone(),
            price: call.price.id,
            in_batch: call.price.in_batch,
            paid_by: hold.paid_by,
            request_id: call.request_id.clone(),
            created_at: hold.created_at,
            draws: hold.draws.clone(),
        }
    }
}
