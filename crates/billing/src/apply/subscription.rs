use std::slice;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, types::Json};

use crate::{
    Billing, CatalogueVersion, Checkout, Error, Interval, Offer, Result, Subscription,
    billed::PaidPlan,
    catalogue::OVERAGE,
    customer::Customer,
    event::Outcome,
    payment::NewPayment,
    price::Price,
    state::state_of,
    stripe::{self, Bill, Stripe},
    subscription::lock,
};

/// How often a customer's state is fetched because others took over a newer one meanwhile.
const ATTEMPTS: usize = 10;

/// What a subscription of Stripe's means to us.
struct Bought {
    checkout: Id<Checkout>,
    subscription: Subscription,
    invoice: Option<Bill>,
}

/// What a subscription is for.
struct Bundle {
    plan: String,
    interval: Interval,
    extra_seats: i64,
    overage_cents: i64,
    /// What a period of plan and seats costs.
    cents: i64,
    currency: Option<String>,
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
            let Some(bought) = self.choose(stripe, customer.org, subscriptions).await? else {
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
        stripe: &Stripe,
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
                Ok(Some(self.understand(stripe, checkout, subscription).await?))
            }
            None => Ok(None),
        }
    }

    async fn understand(
        &self,
        stripe: &Stripe,
        checkout: Checkout,
        theirs: stripe::Subscription,
    ) -> Result<Bought> {
        let strange = || Error::Incomprehensible(theirs.id.clone());
        let items = theirs.items.data.iter().map(|it| (it.price.id.as_str(), it.quantity));
        let bundle = self.bundle(items, &checkout.item).await?;
        let period = theirs.items.data.first().ok_or_else(strange)?;
        let next = match &theirs.schedule {
            Some(schedule) => self.next(stripe, schedule, &checkout.item).await?,
            None => None,
        };
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or_else(strange);
        let overdue = matches!(theirs.status.as_str(), "past_due" | "unpaid");
        let current_period_start = time(period.current_period_start)?;
        let current_period_end = time(period.current_period_end)?;
        let paid_plans = self.plans_paid(stripe, &theirs, &bundle, current_period_start).await?;
        let invoice = theirs.latest_invoice;
        // A change may have been paid since the bill that is overdue was drawn up.
        let overdue_since = match &invoice {
            Some(invoice) if !invoice.is_paid() => time(invoice.created)?,
            _ => current_period_start,
        };
        let subscription = Subscription {
            org: checkout.org,
            plan: bundle.plan,
            interval: bundle.interval,
            extra_seats: bundle.extra_seats,
            current_period_start,
            current_period_end,
            cancel_at_period_end: theirs.cancel_at_period_end,
            trial_end: theirs.trial_end.map(time).transpose()?,
            past_due_since: overdue.then_some(overdue_since),
            paid_until: (!paid_plans.is_empty()).then_some(current_period_end),
            paid_plans: Json(paid_plans),
            schedule_id: theirs.schedule,
            catalogue_version: 0,
            reminders: 0,
            credited_month: None,
            credited_plan: None,
            next_plan: next.as_ref().map(|next| next.plan.clone()),
            next_interval: next.as_ref().map(|next| next.interval),
            next_extra_seats: next.as_ref().map(|next| next.extra_seats),
            overage_cents: bundle.overage_cents,
            overage_credits: 0,
            recurring_cents: bundle.cents,
            recurring_currency: bundle.currency,
            trial_reminded: false,
            status: theirs.status,
            stripe_subscription_id: theirs.id,
        };
        Ok(Bought { checkout: checkout.id, subscription, invoice })
    }

    /// The plans of the running period that are paid, each from its moment on; none: the period is not paid. The
    /// latest bill may be that of a change within it, which can be paid before the period is.
    async fn plans_paid(
        &self,
        stripe: &Stripe,
        theirs: &stripe::Subscription,
        bundle: &Bundle,
        start: DateTime<Utc>,
    ) -> Result<Vec<PaidPlan>> {
        let latest = theirs.latest_invoice.as_ref().filter(|_| theirs.status != "trialing");
        let Some(latest) = latest else { return Ok(Vec::new()) };
        let bills;
        let bills = if latest.begins_period() {
            slice::from_ref(latest)
        } else {
            bills = stripe.paid_bills(&theirs.id, start).await?;
            &bills
        };
        let paid = self.paid_periods(bills).await?;
        let running = paid.into_iter().find(|paid| paid.period.start == start);
        Ok(match running {
            Some(running) => running.plans,
            // At a price that is not one of ours.
            None if latest.begins_period() && latest.is_paid() => {
                vec![PaidPlan { plan: bundle.plan.clone(), from: start }]
            }
            None => Vec::new(),
        })
    }

    /// What prices and numbers of them stand for; `item` is what was bought at first.
    async fn bundle(
        &self,
        items: impl Iterator<Item = (&str, Option<i64>)>,
        item: &str,
    ) -> Result<Bundle> {
        let (mut item, mut extra_seats, mut overage_cents) = (item.to_owned(), 0, 0);
        let (mut cents, mut currency) = (0_i64, None);
        for (price, quantity) in items {
            match Price::find(self.db.pool(), price).await? {
                Some(seat) if seat.is_seat() => {
                    extra_seats = quantity.unwrap_or(0);
                    cents = cents.saturating_add(seat.cents.saturating_mul(extra_seats));
                }
                Some(overage) if overage.item == OVERAGE => overage_cents = overage.cents,
                Some(plan) => {
                    cents = cents.saturating_add(plan.cents);
                    (item, currency) = (plan.item, Some(plan.currency));
                }
                None => {}
            }
        }
        let (plan, interval) = self.plan_of(&item).await?;
        Ok(Bundle { plan, interval, extra_seats, overage_cents, cents, currency })
    }

    /// What a subscription becomes when its period ends.
    async fn next(&self, stripe: &Stripe, schedule: &str, item: &str) -> Result<Option<Bundle>> {
        let Some(planned) = stripe.planned(schedule).await? else { return Ok(None) };
        let items = planned.iter().map(|it| (it.price.as_str(), it.quantity));
        Ok(Some(self.bundle(items, item).await?))
    }

    pub(crate) async fn plan_of(&self, item: &str) -> Result<(String, Interval)> {
        let version = self.catalogues.current().await?;
        match version.catalogue.sold(item) {
            Some(Offer::Plan(plan, interval)) => Ok((plan.id.clone(), interval)),
            _ => Err(Error::UnknownItem { item: item.to_owned() }),
        }
    }

    async fn take_over(&self, db: &mut PgConnection, bought: Bought) -> Result<()> {
        let Bought { checkout, mut subscription, invoice } = bought;
        let (org, now) = (subscription.org, self.clock.now());
        let mut before = Subscription::of(&mut *db, org).await?;
        let newest = CatalogueVersion::newest(&mut *db).await?;
        subscription.catalogue_version = newest.version;
        if let Some(before) = &mut before {
            if before.is_followed_by(&subscription) {
                // Of the period that is over, or was ended early, no month is left out.
                let until = subscription.current_period_start.min(now);
                self.give_credits(db, &newest.catalogue, before, (until, now)).await?;
            }
            subscription.keep(before);
        }
        subscription.note_unbilled_plan(now);
        let paid = invoice.filter(|invoice| invoice.is_paid() && invoice.amount_paid > 0);
        if let Some(invoice) = paid {
            let payment = NewPayment {
                org,
                checkout,
                stripe_id: &invoice.id,
                amount_cents: invoice.amount_paid,
                currency: &invoice.currency,
            };
            self.record_payment(db, &payment, now).await?;
        }
        self.give_credits(db, &newest.catalogue, &mut subscription, (now, now)).await?;
        self.tell_of_trials_end(db, &newest.catalogue, &mut subscription, now).await?;
        subscription.save(db, now).await?;
        subscription.tell(db, before.as_ref(), now).await?;
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
            // Of a plan that no bill pays, somebody noted it; where nothing was noted, Stripe's word stands.
            let noted = !before.paid_plans.is_empty();
            if noted && self.paid_plans.last().is_none_or(|last| last.plan != self.plan) {
                self.paid_plans.clone_from(&before.paid_plans);
            }
        }
        if same_period {
            self.credited_month = before.credited_month;
            self.credited_plan.clone_from(&before.credited_plan);
        }
        self.paid_until = self.paid_until.or(before.paid_until);
        self.overage_credits = before.overage_credits;
        if let (Some(since), Some(_)) = (before.past_due_since, self.past_due_since) {
            self.past_due_since = Some(since);
            self.reminders = before.reminders;
        }
        self.trial_reminded = before.trial_reminded;
    }

    /// Whether another period of the same subscription has begun since.
    fn is_followed_by(&self, newer: &Self) -> bool {
        self.stripe_subscription_id == newer.stripe_subscription_id
            && self.current_period_start < newer.current_period_start
    }

    /// A plan that was changed to at Stripe without a bill counts from when we hear of it.
    fn note_unbilled_plan(&mut self, now: DateTime<Utc>) {
        if self.paid_plans.last().is_some_and(|last| last.plan != self.plan) {
            self.paid_plans.push(PaidPlan { plan: self.plan.clone(), from: now });
        }
    }
}
