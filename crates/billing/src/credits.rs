use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::{GrantSource, NewGrant};
use sqlx::PgConnection;

use crate::{Billing, Catalogue, Result, Subscription, month::Month, standing::paid_plan};

/// When credits are given, and when the plan changed for which they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) now: DateTime<Utc>,
    pub(crate) changed: DateTime<Utc>,
}

impl Billing {
    /// Gives the plan's credits of every month that has begun of the running period, once, if it is paid:
    /// years have twelve months. Who changes to a better plan within the month gets the difference, in
    /// proportion to what was left of it then, as with the price. A month that is over had the plan of its time.
    pub(crate) async fn give_credits(
        &self,
        db: &mut PgConnection,
        catalogue: &Catalogue,
        subscription: &mut Subscription,
        Times { now, changed }: Times,
    ) -> Result<()> {
        let due = subscription.is_paid() && subscription.state(self.grace, now).credits;
        if !due {
            return Ok(());
        }
        let credits_of = |id: &str| catalogue.plan(id).map_or(0, |plan| plan.credits_per_month);
        let credits = paid_plan(db, catalogue, subscription).await?.credits_per_month;
        let (org, id) = (subscription.org, subscription.stripe_subscription_id.clone());
        let (before, plan_before) = (subscription.credited_month, &subscription.credited_plan);
        for missed in Month::begun(subscription.period(), now) {
            if missed.end <= now && before.is_none_or(|before| before < missed.start) {
                let then = plan_before.as_deref().filter(|_| missed.end <= changed);
                give_month(db, org, &id, missed, then.map_or(credits, credits_of), now).await?;
            }
        }
        let month = Month::of(subscription.period(), now);
        if before != Some(month.start) {
            give_month(db, org, &id, month, credits, now).await?;
        } else if let Some(before) = plan_before.as_deref().filter(|it| *it != subscription.plan) {
            let more = month.rest_of(credits - credits_of(before), changed);
            if more <= 0 {
                return Ok(()); // The better plan stays noted, so that nothing is given for it again.
            }
            let key = format!("{}:{}", key(&id, month), subscription.plan);
            give(db, org, key, more, month.end, now).await?;
        }
        subscription.credited_month = Some(month.start);
        subscription.credited_plan = Some(subscription.plan.clone());
        Ok(())
    }
}

/// Gives the credits of a month that was paid, once, also if it is over. Plans may have none.
pub(crate) async fn give_month(
    db: &mut PgConnection,
    org: Id<Org>,
    subscription: &str,
    month: Month,
    credits: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    give(db, org, key(subscription, month), credits, month.spendable_until(now), now).await
}

fn key(subscription: &str, month: Month) -> String {
    format!("stripe:{subscription}:{}", month.start.timestamp())
}

async fn give(
    db: &mut PgConnection,
    org: Id<Org>,
    external_id: String,
    amount: i64,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<()> {
    if amount <= 0 {
        return Ok(());
    }
    let source = GrantSource::Plan;
    let grant = NewGrant { org, source, amount, expires_at: Some(until), external_id };
    grant.give(db, now).await?;
    Ok(())
}
