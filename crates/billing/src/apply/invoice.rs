use chrono::DateTime;
use kernel::{Id, Org};
use sqlx::PgConnection;

use crate::{
    Billing, CatalogueVersion, Checkout, Result,
    credits::give_month,
    customer::Customer,
    month::{Month, Period},
    payment::NewPayment,
    price::Price,
    stripe::{self, Bill, Stripe},
    subscription::lock,
};

impl Billing {
    /// Records the payment of an invoice that is no longer its subscription's latest, and gives the credits
    /// of its months that are over: nobody heard of them in time.
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
        if bill.status.as_deref() != Some("paid") || bill.amount_paid == 0 {
            return Ok(());
        }
        let payment = NewPayment {
            org,
            checkout: checkout.id,
            stripe_id: &bill.id,
            amount_cents: bill.amount_paid,
            currency: &bill.currency,
        };
        let mut tx = self.db.begin().await?;
        lock(&mut tx, org).await?;
        self.record_payment(&mut tx, &payment, self.clock.now()).await?;
        self.give_missed_months(&mut tx, org, &bill).await?;
        Ok(tx.commit().await?)
    }

    /// The running month's credits come with the subscription.
    async fn give_missed_months(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        bill: &Bill,
    ) -> Result<()> {
        let now = self.clock.now();
        let Some(subscription) = bill.subscription() else { return Ok(()) };
        let Some((item, billed)) = self.plan_billed(db, bill).await? else { return Ok(()) };
        let (plan, interval) = self.plan_of(&item).await?;
        let catalogue = CatalogueVersion::newest(&mut *db).await?.catalogue;
        let credits = catalogue.plan(&plan).map_or(0, |plan| plan.credits_per_month);
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or(now);
        let period = Period { start: time(billed.start), end: time(billed.end), interval };
        for month in Month::begun(period, now) {
            if month.end <= now {
                give_month(db, org, &subscription.subscription, month, credits, now).await?;
            }
        }
        Ok(())
    }

    /// The plan that a bill pays for in advance, and for how long.
    async fn plan_billed(
        &self,
        db: &mut PgConnection,
        bill: &Bill,
    ) -> Result<Option<(String, stripe::Period)>> {
        for line in bill.lines.data.iter().filter(|line| bill.begins(line.period)) {
            let price = Price::find(&mut *db, line.price().unwrap_or_default()).await?;
            if let Some(plan) = price.filter(|price| price.item.starts_with("plan-")) {
                return Ok(Some((plan.item, line.period)));
            }
        }
        Ok(None)
    }
}
