use chrono::DateTime;
use kernel::{Id, Org};
use sqlx::PgConnection;

use crate::{
    Billing, CatalogueVersion, Checkout, Error, Interval, Offer, Result, Subscription,
    catalogue::OVERAGE,
    customer::Customer,
    event::Outcome,
    payment::NewPayment,
    price::Price,
    state::state_of,
    stripe::{self, Stripe},
    subscription::lock,
};

/// How often a customer's state is fetched because others took over a newer one meanwhile.
const ATTEMPTS: usize = 10;

/// What a subscription of Stripe's means to us.
struct Bought {
    checkout: Id<Checkout>,
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
                lock(&mut tx, customer.org).await?;
                self.take_over(&mut tx, bought).await?;
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
    ) -> Result<Option<Bought>> {
        let in_force = |it: &stripe::Subscription| state_of(&it.status, false).gives_plan();
        let running = |it: &stripe::Subscription| !state_of(&it.status, false).over;
        let mut ours = Vec::new();
        for subscription in subscriptions {
            let id = subscription.metadata.checkout_id.as_deref().and_then(|id| id.parse().ok());
            let checkout = match id {
                Some(id) => Checkout::get(self.db.pool(), org, id).await?,
                None => None,
            };
            match checkout {
                Some(checkout) => ours.push((checkout, subscription)),
                None if in_force(&subscription) => tracing::error!(
                    %org,
                    subscription = subscription.id,
                    "the org pays for a subscription that none of its checkouts started"
                ),
                None => {}
            }
        }
        let paid = ours.iter().filter(|(_, it)| in_force(it)).count();
        if paid > 1 {
            tracing::error!(%org, paid, "the org pays for several subscriptions at once");
        }
        let chosen = ours.into_iter().max_by_key(|(_, it)| (in_force(it), running(it), it.created));
        match chosen {
            Some((checkout, subscription)) => {
                Ok(Some(self.understand(checkout, subscription).await?))
            }
            None => Ok(None),
        }
    }

    async fn understand(&self, checkout: Checkout, theirs: stripe::Subscription) -> Result<Bought> {
        let strange = || Error::Incomprehensible(theirs.id.clone());
        let first = theirs.items.data.first().ok_or_else(strange)?;
        let (mut item, mut period) = (checkout.item.clone(), first);
        let (mut extra_seats, mut overage_cents) = (0, 0);
        for it in &theirs.items.data {
            let price = Price::find(self.db.pool(), &it.price.id).await?;
            match price {
                Some(seat) if seat.is_seat() => extra_seats = it.quantity.unwrap_or(0),
                Some(overage) if overage.item == OVERAGE => overage_cents = overage.cents,
                Some(plan) => (item, period) = (plan.item, it),
                None => {}
            }
        }
        let (plan, interval) = self.plan_of(&item).await?;
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or_else(strange);
        let overdue = matches!(theirs.status.as_str(), "past_due" | "unpaid");
        let invoice = theirs.latest_invoice;
        let billed = invoice.as_ref().map(|invoice| time(invoice.created)).transpose()?;
        let current_period_end = time(period.current_period_end)?;
        let paid = invoice.as_ref().is_some_and(stripe::Invoice::is_paid);
        let paid = paid && theirs.status != "trialing";
        let subscription = Subscription {
            org: checkout.org,
            plan,
            interval,
            extra_seats,
            current_period_start: time(period.current_period_start)?,
            current_period_end,
            cancel_at_period_end: theirs.cancel_at_period_end,
            trial_end: theirs.trial_end.map(time).transpose()?,
            past_due_since: billed.filter(|_| overdue),
            paid_until: Some(current_period_end).filter(|_| paid),
            schedule_id: theirs.schedule,
            catalogue_version: 0,
            reminders: 0,
            credited_month: None,
            credited_plan: None,
            next_plan: None,
            next_interval: None,
            next_extra_seats: None,
            overage_cents,
            overage_credits: 0,
            status: theirs.status,
            stripe_subscription_id: theirs.id,
        };
        Ok(Bought { checkout: checkout.id, subscription, invoice })
    }

    async fn plan_of(&self, item: &str) -> Result<(String, Interval)> {
        let version = self.catalogues.current().await?;
        match version.catalogue.sold(item) {
            Some(Offer::Plan(plan, interval)) => Ok((plan.id.clone(), interval)),
            _ => Err(Error::UnknownItem { item: item.to_owned() }),
        }
    }

    async fn take_over(&self, db: &mut PgConnection, bought: Bought) -> Result<()> {
        let Bought { checkout, mut subscription, invoice } = bought;
        let (org, now) = (subscription.org, self.clock.now());
        let before = Subscription::of(&mut *db, org).await?;
        let newest = CatalogueVersion::newest(&mut *db).await?;
        subscription.catalogue_version = newest.version;
        if let Some(before) = before {
            subscription.keep(&before);
        }
        let paid = invoice.filter(|invoice| invoice.is_paid() && invoice.amount_paid > 0);
        if let Some(invoice) = paid {
            let payment = NewPayment {
                org,
                checkout,
                stripe_id: &invoice.id,
                amount_cents: invoice.amount_paid,
                currency: &invoice.currency,
            };
            payment.record(db, now).await?;
        }
        self.give_credits(db, &newest.catalogue, &mut subscription, now).await?;
        subscription.save(db, now).await?;
        self.entitle(db, org, now).await
    }
}

impl Subscription {
    /// Takes over what Stripe does not know from how it was `before`.
    fn keep(&mut self, before: &Self) {
        if self.stripe_subscription_id != before.stripe_subscription_id {
            return;
        }
        let same_period = self.current_period_start == before.current_period_start;
        if same_period && self.plan == before.plan {
            self.catalogue_version = before.catalogue_version;
        }
        self.credited_month = before.credited_month;
        self.credited_plan.clone_from(&before.credited_plan);
        self.paid_until = self.paid_until.or(before.paid_until);
        self.overage_credits = before.overage_credits;
        if let (Some(since), Some(_)) = (before.past_due_since, self.past_due_since) {
            self.past_due_since = Some(since);
            self.reminders = before.reminders;
        }
        // With the next period it has begun.
        if same_period && self.schedule_id.is_some() && self.schedule_id == before.schedule_id {
            self.next_plan.clone_from(&before.next_plan);
            self.next_interval = before.next_interval;
            self.next_extra_seats = before.next_extra_seats;
        }
    }
}
