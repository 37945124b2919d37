use chrono::{DateTime, Utc};
use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use crate::{
    Billing, CatalogueVersion, PlanGrant, Result, Subscription, change::unused_seats, subscription,
    trial,
};

/// What time brings about without any news from Stripe: the months of years that are paid, reminders
/// of overdue bills and the end of their grace, news of trials that end, the end of plans that were given,
/// seats that nobody uses any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Upkeep {}

impl Job for Upkeep {
    const NAME: &'static str = "billing.upkeep";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        let (pool, now) = (billing.db.pool(), billing.clock.now());
        for org in new_months(pool, now).await? {
            report(org, billing.begin_month(org).await);
        }
        for org in trial::ending(pool, now).await? {
            report(org, billing.begin_month(org).await);
        }
        for org in unused_seats::to_count(pool, now).await? {
            report(org, billing.give_up_unused_seats(org).await);
        }
        for org in in_arrears(pool).await? {
            report(org, billing.remind(org).await);
        }
        for org in PlanGrant::ended(pool, now).await? {
            report(org, billing.end_plan_grant(org).await);
        }
        Ok(())
    }
}

/// One org's trouble is not the next one's; it is tried again in the next run.
fn report(org: Id<Org>, result: Result<()>) {
    if let Err(error) = result {
        tracing::error!(%org, error = &error as &dyn std::error::Error, "an org was left out");
    }
}

impl Billing {
    /// Gives the credits of a month that has begun, and says that a trial ends, if so.
    async fn begin_month(&self, org: Id<Org>) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        subscription::lock(&mut tx, org).await?;
        if let Some(mut it) = Subscription::of(&mut *tx, org).await? {
            let newest = CatalogueVersion::newest(&mut *tx).await?;
            self.give_credits(&mut tx, &newest.catalogue, &mut it, (now, now)).await?;
            self.tell_of_trials_end(&mut tx, &newest.catalogue, &mut it, now).await?;
            it.save(&mut tx, now).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn end_plan_grant(&self, org: Id<Org>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        self.withdraw_plan(&mut tx, org, &audit::Origin::SYSTEM).await?;
        Ok(tx.commit().await?)
    }
}

/// Years that are paid and may have begun a month whose credits were not given.
async fn new_months(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<Vec<Id<Org>>> {
    sqlx::query_scalar!(
        r#"select org_id as "org: _"
           from subscriptions
           where billing_interval = 'year' and status = 'active' and paid_until > $1
             and (credited_month is null or credited_month <= $1 - interval '28 days')
           order by org_id"#,
        now,
    )
    .fetch_all(db)
    .await
}

async fn in_arrears(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Id<Org>>> {
    sqlx::query_scalar!(
        r#"select org_id as "org: _" from subscriptions where past_due_since is not null order by org_id"#
    )
    .fetch_all(db)
    .await
}
