use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::{GrantSource, NewGrant};
use sqlx::PgConnection;

use super::no_longer_known;
use crate::{
    Billing, Checkout, Error, Offer, Plan, Result, Subscription,
    customer::Customer,
    event::Outcome,
    payment::NewPayment,
    stripe::{self, Stripe},
    subscription::is_in_force,
};

/// How often a customer's state is fetched because others took over a newer one meanwhile.
const ATTEMPTS: usize = 10;

/// What a subscription of Stripe's means to us.
struct Bought<'a> {
    checkout: Id<Checkout>,
    plan: &'a Plan,
    subscription: Subscription,
    invoice: Option<stripe::Invoice>,
}

impl Billing {
    /// Makes the org's subscription what it is at Stripe now.
    ///
    /// Which of the customer's subscriptions an event was about does not matter, nor what it said:
    /// the one in force counts, else the last one.
    pub(crate) async fn apply_subscription(
        &self,
        stripe: &Stripe,
        customer: &str,
    ) -> Result<Outcome> {
        for _ in 0..ATTEMPTS {
            let Some(customer) = Customer::find(self.db.pool(), customer).await? else {
                return Ok(Outcome::Ignored);
            };
            let subscriptions = stripe.subscriptions(&customer.id).await?;
            if subscriptions.is_empty() {
                return Ok(Outcome::Ignored);
            }
            let Some(bought) = self.choose(customer.org, subscriptions).await? else {
                return Ok(Outcome::Refused);
            };
            let mut tx = self.db.begin().await?;
            if customer.claim(&mut tx).await? {
                self.give_plan(&mut tx, bought).await?;
                tx.commit().await?;
                return Ok(Outcome::Applied);
            }
        }
        Err(Error::Contended)
    }

    /// The subscription that counts, of those that a checkout of the org started.
    async fn choose(
        &self,
        org: Id<Org>,
        subscriptions: Vec<stripe::Subscription>,
    ) -> Result<Option<Bought<'_>>> {
        let mut ours = Vec::new();
        for subscription in subscriptions {
            let id = subscription.metadata.checkout_id.as_deref().and_then(|id| id.parse().ok());
            let checkout = match id {
                Some(id) => Checkout::get(self.db.pool(), org, id).await?,
                None => None,
            };
            match checkout {
                Some(checkout) => ours.push((checkout, subscription)),
                None if is_in_force(&subscription.status) => tracing::error!(
                    %org,
                    subscription = subscription.id,
                    "the org pays for a subscription that none of its checkouts started"
                ),
                None => {}
            }
        }
        let in_force = ours.iter().filter(|(_, it)| is_in_force(&it.status)).count();
        if in_force > 1 {
            tracing::error!(%org, in_force, "the org pays for several subscriptions at once");
        }
        ours.into_iter()
            .max_by_key(|(_, it)| (is_in_force(&it.status), it.created))
            .map(|(checkout, subscription)| self.understand(checkout, subscription))
            .transpose()
    }

    fn understand(&self, checkout: Checkout, theirs: stripe::Subscription) -> Result<Bought<'_>> {
        let Some(Offer::Plan(plan, interval)) = self.catalogue.offer(&checkout.item) else {
            return Err(no_longer_known(&checkout));
        };
        let strange = || Error::Incomprehensible(theirs.id.clone());
        let item = theirs.items.data.first().ok_or_else(strange)?;
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or_else(strange);
        let subscription = Subscription {
            org: checkout.org,
            plan: plan.id.clone(),
            interval,
            current_period_start: time(item.current_period_start)?,
            current_period_end: time(item.current_period_end)?,
            cancel_at_period_end: theirs.cancel_at_period_end,
            status: theirs.status,
            stripe_subscription_id: theirs.id,
        };
        Ok(Bought { checkout: checkout.id, plan, subscription, invoice: theirs.latest_invoice })
    }

    async fn give_plan(&self, db: &mut PgConnection, bought: Bought<'_>) -> Result<()> {
        let Bought { checkout, plan, subscription, invoice } = bought;
        let (org, now) = (subscription.org, self.clock.now());
        subscription.save(db, now).await?;
        let in_force = subscription.is_in_force();
        let plan_in_force = if in_force { plan } else { self.catalogue.free() };
        quotas::entitle(db, org, &plan_in_force.entitlement(), now).await?;
        let Some(invoice) = invoice.filter(stripe::Invoice::is_paid) else { return Ok(()) };
        if invoice.amount_paid > 0 {
            let payment = NewPayment {
                org,
                checkout,
                stripe_id: &invoice.id,
                amount_cents: invoice.amount_paid,
                currency: &invoice.currency,
            };
            payment.record(db, now).await?;
        }
        if in_force && plan.credits_per_month > 0 {
            give_credits(db, plan, &subscription, now).await?;
        }
        Ok(())
    }
}

/// Gives the credits of the period's first month, once per period, however many bills it has.
async fn give_credits(
    db: &mut PgConnection,
    plan: &Plan,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<()> {
    let (id, start) = (&subscription.stripe_subscription_id, subscription.current_period_start);
    let grant = NewGrant {
        org: subscription.org,
        source: GrantSource::Plan,
        amount: plan.credits_per_month,
        expires_at: Some(subscription.first_month_end()),
        external_id: format!("stripe:{id}:{}", start.timestamp()),
    };
    grant.give(db, now).await?;
    Ok(())
}
