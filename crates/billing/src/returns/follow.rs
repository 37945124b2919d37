use chrono::TimeDelta;
use jobs::{Enqueue, Job};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{Billing, Result, stripe::Stripe};

/// The longest that anything is paid for in advance, and some days.
const YEAR: TimeDelta = TimeDelta::days(400);

/// Has an org's credits that were given after their money went back, as those of a year's later months are,
/// follow it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FollowMoney {
    org: Id<Org>,
}

impl Job for FollowMoney {
    const NAME: &'static str = "billing.follow_money";
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        billing.follow_money(billing.stripe()?, Some(self.org)).await?;
        Ok(())
    }
}

impl FollowMoney {
    /// Queues it with the credits that `org` is given.
    pub(crate) async fn queue(db: &mut PgConnection, org: Id<Org>) -> Result<()> {
        let returned = sqlx::query_scalar!(
            r#"select exists (
                   select from payments
                   where org_id = $1 and returned_cents > 0 and stripe_id like 'in\_%') as "returned!""#,
            org as _,
        );
        if returned.fetch_one(&mut *db).await? {
            let key = format!("{}:{org}", Self::NAME);
            Enqueue::new(&Self { org }).key(key).send(db).await?;
        }
        Ok(())
    }
}

impl Billing {
    /// The same for everybody, or one org; answers of how many payments.
    pub(crate) async fn follow_money(
        &self,
        stripe: &Stripe,
        org: Option<Id<Org>>,
    ) -> Result<usize> {
        let intents = sqlx::query_scalar!(
            r#"select payment_intent_id as "intent!" from payments
               where created_at > $1 and returned_cents > 0 and stripe_id like 'in\_%'
                 and payment_intent_id is not null and ($2::uuid is null or org_id = $2)
               order by id"#,
            self.clock.now() - YEAR,
            org.map(Id::uuid),
        )
        .fetch_all(self.db.pool())
        .await?;
        for intent in &intents {
            self.apply_returns(stripe, intent).await?;
        }
        Ok(intents.len())
    }
}
