use chrono::{DateTime, Utc};
use quotas::{GrantSource, NewGrant};
use sqlx::PgConnection;

use crate::{Billing, Catalogue, Result, Subscription, month::Month, standing::paid_plan};

impl Billing {
    /// Gives the plan's credits of the month that `now` is in, once, if the period is paid: years have
    /// twelve months. Who changes to a better plan within the month gets the difference, in proportion
    /// to what is left of it, as with the price.
    pub(crate) async fn give_credits(
        &self,
        db: &mut PgConnection,
        catalogue: &Catalogue,
        subscription: &mut Subscription,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let due = subscription.is_paid() && subscription.state(self.grace, now).credits;
        let credits_of = |id: &str| catalogue.plan(id).map_or(0, |plan| plan.credits_per_month);
        let credits = paid_plan(db, catalogue, subscription).await?.credits_per_month;
        if !due || credits <= 0 {
            return Ok(());
        }
        let month = Month::of(subscription, now);
        let key =
            format!("stripe:{}:{}", subscription.stripe_subscription_id, month.start.timestamp());
        let given = give(db, subscription, &key, credits, month, now).await?;
        let before = subscription.credited_plan.as_deref().filter(|before| {
            !given
                && subscription.credited_month == Some(month.start)
                && *before != subscription.plan
        });
        if let Some(before) = before {
            let more = month.rest_of(credits - credits_of(before), now);
            if more <= 0 {
                return Ok(()); // The better plan stays noted, so that nothing is given for it again.
            }
            let key = format!("{key}:{}", subscription.plan);
            give(db, subscription, &key, more, month, now).await?;
        }
        subscription.credited_month = Some(month.start);
        subscription.credited_plan = Some(subscription.plan.clone());
        Ok(())
    }
}

async fn give(
    db: &mut PgConnection,
    subscription: &Subscription,
    external_id: &str,
    amount: i64,
    month: Month,
    now: DateTime<Utc>,
) -> Result<bool> {
    let grant = NewGrant {
        org: subscription.org,
        source: GrantSource::Plan,
        amount,
        expires_at: Some(month.end),
        external_id: external_id.to_owned(),
    };
    Ok(grant.give(db, now).await?)
}
