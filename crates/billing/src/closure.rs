//! Closing an account: nothing is billed any more, and nobody can tell from the books who it was.

use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use jobs::{Enqueue, Job};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Billing, Failure, Result, customer::Customer, stripe::Stripe};

/// How far the closing of an account is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = BillingClosure)]
pub struct Closure {
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When Stripe had done everything.
    pub done_at: Option<DateTime<Utc>>,
}

/// Ends what an org pays for and has Stripe forget it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CloseAccount {
    pub(crate) org: Id<Org>,
}

impl Job for CloseAccount {
    const NAME: &'static str = "billing.close_account";
    const MAX_ATTEMPTS: i16 = 20;
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        Ok(billing.close(self.org).await?)
    }
}

impl Closure {
    /// The closing of `org`'s account, if it was asked for.
    pub async fn of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select requested_at, done_at from billing_closures where org_id = $1",
            org as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Asks for it, in the transaction that deletes the account: its subscriptions end at once, its
    /// customer at Stripe is deleted. The ledger stays; it names orgs, payments and grants by ids
    /// only. Asking again changes nothing.
    pub async fn request(
        db: &mut PgConnection,
        org: Id<Org>,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let requested = sqlx::query!(
            "insert into billing_closures (org_id, requested_at) values ($1, $2)
             on conflict (org_id) do nothing",
            org as _,
            now,
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if requested == 1 {
            Entry::new(origin, Some(org), "billing.closed", org).record(&mut *db, now).await?;
        }
        let key = format!("{}:{org}", CloseAccount::NAME);
        Enqueue::new(&CloseAccount { org }).key(key).send(db).await
    }
}

impl Billing {
    async fn close(&self, org: Id<Org>) -> Result<()> {
        if let (Ok(stripe), Some(customer)) =
            (self.stripe(), Customer::of(self.db.pool(), org).await?)
        {
            self.end_purchases(stripe, org).await?;
            for subscription in stripe.standings_of(&customer.id).await? {
                if subscription.is_running() || subscription.status == "incomplete" {
                    gone(stripe.end_subscription(&subscription.id).await)?;
                }
            }
            self.apply_subscription(stripe, &customer.id).await?;
            gone(stripe.delete_customer(&customer.id).await)?;
        }
        // First, so that what comes meanwhile is not kept either.
        sqlx::query!(
            "update billing_closures set done_at = coalesce(done_at, $2) where org_id = $1",
            org as _,
            self.clock.now(),
        )
        .execute(self.db.pool())
        .await?;
        self.forget(org).await
    }

    /// Nobody can pay on an open page any more. What was just paid is handed out, and can be refunded.
    async fn end_purchases(&self, stripe: &Stripe, org: Id<Org>) -> Result<()> {
        let open = sqlx::query_scalar!(
            r#"select stripe_session_id as "id!" from checkouts
               where org_id = $1 and status = 'open' and stripe_session_id is not null"#,
            org as _,
        )
        .fetch_all(self.db.pool())
        .await?;
        for id in open {
            let session = match stripe.expire_session(&id).await {
                Err(Failure::Refused { .. }) => stripe.session(&id).await?,
                answer => answer?,
            };
            self.apply_session(stripe, &session).await?;
        }
        Ok(())
    }

    /// Bodies of events tell names and addresses; what they caused is in the books.
    async fn forget(&self, org: Id<Org>) -> Result<()> {
        sqlx::query!(
            "update stripe_events
             set payload = '{}'
             where customer_id = (select customer_id from stripe_customers where org_id = $1)
                or payment_intent_id in (select payment_intent_id from payments where org_id = $1)",
            org as _,
        )
        .execute(self.db.pool())
        .await?;
        sqlx::query!("update checkouts set url = null where org_id = $1", org as _)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

/// What is not there, or over, needs not be ended.
fn gone(answer: Result<(), Failure>) -> Result<(), Failure> {
    match answer {
        Err(Failure::Refused { status: 400 | 404, .. }) => Ok(()),
        answer => answer,
    }
}
