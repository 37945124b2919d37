use chrono::{DateTime, Months, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::Interval;

/// What an org subscribed to, as Stripe has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BillingSubscription)]
pub struct Subscription {
    /// Who.
    #[serde(skip)]
    pub org: Id<Org>,
    /// The plan that is paid for.
    #[schema(example = "pro")]
    pub plan: String,
    /// How often.
    pub interval: Interval,
    /// Stripe's word for how it stands. The plan is in force while it is `trialing`, `active` or
    /// `past_due`; otherwise the free one is.
    #[schema(example = "active")]
    pub status: String,
    /// The period that was billed last.
    pub current_period_start: DateTime<Utc>,
    /// When that ends.
    pub current_period_end: DateTime<Utc>,
    /// Whether it ends then, too.
    pub cancel_at_period_end: bool,
    /// `sub_…`.
    #[serde(skip)]
    pub(crate) stripe_subscription_id: String,
}

/// Whether a subscription of this status puts its plan in force.
///
/// `past_due` does: Stripe is still trying to collect, for as long as its settings say, and then
/// ends the subscription or calls it `unpaid`.
pub(crate) fn is_in_force(status: &str) -> bool {
    matches!(status, "trialing" | "active" | "past_due")
}

impl Subscription {
    /// The subscription of `org`, if there ever was one.
    pub(crate) async fn of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _", plan, billing_interval as "interval: _", status,
                      current_period_start, current_period_end, cancel_at_period_end,
                      stripe_subscription_id
               from subscriptions
               where org_id = $1"#,
            org as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Replaces what we knew of the org's subscription.
    pub(crate) async fn save(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into subscriptions
                 (org_id, stripe_subscription_id, plan, billing_interval, status,
                  current_period_start, current_period_end, cancel_at_period_end, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (org_id) do update set
                 stripe_subscription_id = excluded.stripe_subscription_id,
                 plan = excluded.plan,
                 billing_interval = excluded.billing_interval,
                 status = excluded.status,
                 current_period_start = excluded.current_period_start,
                 current_period_end = excluded.current_period_end,
                 cancel_at_period_end = excluded.cancel_at_period_end,
                 updated_at = excluded.updated_at",
            self.org as _,
            self.stripe_subscription_id,
            self.plan,
            self.interval as _,
            self.status,
            self.current_period_start,
            self.current_period_end,
            self.cancel_at_period_end,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Whether its plan is in force.
    pub(crate) fn is_in_force(&self) -> bool {
        is_in_force(&self.status)
    }

    /// When the month ends whose credits are given at the start of the period.
    pub(crate) fn first_month_end(&self) -> DateTime<Utc> {
        let month = self.current_period_start.checked_add_months(Months::new(1));
        match self.interval {
            Interval::Month => self.current_period_end,
            Interval::Year => month.unwrap_or(self.current_period_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_in_force;

    #[test]
    fn the_plan_is_in_force_while_stripe_still_expects_to_be_paid() {
        for (status, in_force) in [
            ("trialing", true),
            ("active", true),
            ("past_due", true),
            ("incomplete", false),
            ("incomplete_expired", false),
            ("unpaid", false),
            ("paused", false),
            ("canceled", false),
            ("something_new", false),
        ] {
            assert_eq!(is_in_force(status), in_force, "{status}");
        }
    }
}
