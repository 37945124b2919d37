use chrono::{DateTime, Utc};
use quotas::Overage;
use sqlx::PgConnection;

use crate::{Billing, Catalogue, Interval, Plan, Result, Subscription, standing::paid_plan};

impl Plan {
    /// How many credits of overage it offers in a period. Years have none: Stripe bills all of a subscription
    /// together, and nobody should wait a year for that bill.
    pub(crate) fn overage(&self, interval: Interval) -> i64 {
        match interval {
            Interval::Month => self.overage_credits_per_month,
            Interval::Year => 0,
        }
    }
}

impl Subscription {
    /// Names its running period among those of overage.
    pub(crate) fn overage_period(&self) -> String {
        format!("{}:{}", self.stripe_subscription_id, self.current_period_start.timestamp())
    }
}

impl Billing {
    /// Lets the org use so many credits beyond its own as it chose and its plan offers, as long as its bills
    /// are paid and Stripe bills them.
    pub(crate) async fn allow_overage(
        &self,
        db: &mut PgConnection,
        catalogue: &Catalogue,
        subscription: &Subscription,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let billed = subscription.overage_cents > 0;
        let credits = if billed && subscription.state(self.grace, now).credits {
            let plan = paid_plan(db, catalogue, subscription).await?;
            subscription.overage_credits.min(plan.overage(subscription.interval))
        } else {
            0
        };
        let overage = Overage {
            org: subscription.org,
            period: subscription.overage_period(),
            credits,
            until: subscription.current_period_end,
        };
        Ok(overage.allow(db, now).await?)
    }
}
