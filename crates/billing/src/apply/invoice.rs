use chrono::DateTime;
use kernel::{Id, Org};
use sqlx::PgConnection;

use crate::{
    Billing, CatalogueVersion, Checkout, Result,
    billed::PaidPeriod,
    credits::{give_shares, shares},
    customer::Customer,
    payment::NewPayment,
    returns::FollowMoney,
    stripe::{Bill, Stripe},
    subscription::lock,
};

impl Billing {
    /// Records the payment of an invoice that is no longer its subscription's latest, and gives the credits
    /// of its months that have begun: nobody heard of them in time.
    pub(crate) async fn take_over_invoice(&self, stripe: &Stripe, invoice: &str) -> Result<()> {
        let bill = stripe.bill(invoice).await?;
        let Some(customer) = &bill.customer else { return Ok(()) };
        let Some(Customer { org, .. }) = Customer::find(self.db.pool(), customer).await? else {
            return Ok(());
        };
        let noted = bill.subscription().and_then(|it| it.metadata.as_ref()?.checkout_id.as_deref());
        let Some(checkout) = noted.and_then(|id| id.parse().ok()) else { return Ok(()) };
        // What it claims counts only if we know it to be the org's.
        let Some(checkout) = Checkout::get(self.db.pool(), org, checkout).await? else {
            return Ok(());
        };
        if !bill.is_paid() || bill.amount_paid == 0 {
            return Ok(());
        }
        let payment = NewPayment {
            org,
            checkout: checkout.id,
            stripe_id: &bill.id,
            amount_cents: bill.amount_paid,
            currency: &bill.currency,
        };
        let missed = self.missed_periods(stripe, &bill).await?;
        let mut tx = self.db.begin().await?;
        lock(&mut tx, org).await?;
        self.record_payment(&mut tx, &payment, self.clock.now()).await?;
        if let Some(subscription) = bill.subscription() {
            self.give_missed_months(&mut tx, (org, &subscription.subscription), &missed).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The periods that a bill pays something of, with all that other bills paid of them.
    async fn missed_periods(&self, stripe: &Stripe, bill: &Bill) -> Result<Vec<PaidPeriod>> {
        let Some(subscription) = bill.subscription() else { return Ok(Vec::new()) };
        let billed = self.billed(bill).await?;
        let bills = stripe.paid_bills(&subscription.subscription, DateTime::UNIX_EPOCH).await?;
        let mut paid = self.paid_periods(&bills).await?;
        paid.retain(|paid| billed.is_about(paid.period));
        let ended = stripe.subscription(&subscription.subscription).await?.ended_at;
        if let Some(ended) = ended.and_then(|ended| DateTime::from_timestamp(ended, 0)) {
            for paid in &mut paid {
                paid.until = paid.until.min(ended);
            }
        }
        Ok(paid)
    }

    /// They come only once, also if those of the running period came with the subscription.
    async fn give_missed_months(
        &self,
        db: &mut PgConnection,
        to: (Id<Org>, &str),
        missed: &[PaidPeriod],
    ) -> Result<()> {
        let now = self.clock.now();
        let catalogue = CatalogueVersion::newest(&mut *db).await?.catalogue;
        let credits_of = |id: &str| catalogue.plan(id).map_or(0, |plan| plan.credits_per_month);
        let mut given = false;
        for paid in missed {
            for month in paid.months(now) {
                let shares = shares(&paid.plans, month, credits_of);
                given |= give_shares(db, to, month, &shares, now).await?;
            }
        }
        if given {
            FollowMoney::queue(db, to.0).await?;
        }
        Ok(())
    }
}
