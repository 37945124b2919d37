use quotas::OverageUse;
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{Catalogue, Subscription};

/// What an org may use beyond its own credits, and what it has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionOverage)]
pub(crate) struct OverageView {
    /// What a credit costs, in the smallest unit of the currency.
    cents_per_credit: i64,
    /// ISO 4217, in small letters.
    #[schema(example = "usd")]
    currency: String,
    /// How many credits the plan offers in a period at most.
    most_credits: i64,
    /// How many the org wants to use at most; 0: none.
    cap_credits: i64,
    /// How many it has used in the running period.
    used_credits: i64,
    /// What those come to on the next invoice.
    amount_cents: i64,
}

impl OverageView {
    /// That of a subscription; `None`: its plan offers none.
    pub(crate) async fn of(
        db: impl PgExecutor<'_>,
        catalogue: &Catalogue,
        it: &Subscription,
    ) -> sqlx::Result<Option<Self>> {
        let plan = catalogue.plan(&it.plan);
        let most_credits = plan.map_or(0, |plan| plan.overage(it.interval));
        if most_credits == 0 && it.overage_cents == 0 {
            return Ok(None);
        }
        let used_credits = OverageUse::of(db, it.org, &it.overage_period()).await?;
        // Who has it pays the price of that time.
        let cents_per_credit =
            if it.overage_cents > 0 { it.overage_cents } else { catalogue.overage_cents() };
        Ok(Some(Self {
            cents_per_credit,
            currency: catalogue.currency().to_owned(),
            most_credits,
            cap_credits: it.overage_credits,
            used_credits,
            amount_cents: used_credits.saturating_mul(cents_per_credit),
        }))
    }
}
