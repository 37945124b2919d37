use audit::{Entry, Origin};
use kernel::{Id, Org, User};
use serde_json::json;

use super::{
    ChangeInput, ChangeRefused,
    record::Change,
    target::{Target, When},
};
use crate::{
    Billing, Catalogue, Error, Result, Subscription,
    customer::Customer,
    state::state_of,
    stripe::{self, Failure, Stripe},
    subscription::lock,
};

impl Billing {
    /// Changes the org's subscription and takes over what became of it.
    ///
    /// The change is stored before Stripe hears of it, and its id is the idempotency key of every call
    /// that follows: whatever fails, asking again continues where it stopped.
    pub(crate) async fn change(
        &self,
        org: Id<Org>,
        user: Option<Id<User>>,
        input: &ChangeInput,
        origin: &Origin,
    ) -> Result<Subscription> {
        let stripe = self.stripe()?;
        let (customer, subscription) = self.running(org).await?;
        let now = self.clock.now();
        let mut tx = self.db.tenant(org).await?;
        let change = Change::open(&mut tx, org, user, input, now).await?;
        tx.commit().await?;
        let change = change.ok_or(ChangeRefused::InProgress)?;
        let key = change.id.to_string();
        let done = self.carry_out(stripe, &subscription, input, &key).await;
        let status = match &done {
            Ok(()) => "done",
            Err(Error::Stripe(Failure::Unavailable(_))) => "open",
            Err(_) => "refused",
        };
        let mut tx = self.db.begin().await?;
        change.close(&mut tx, status).await?;
        if status == "done" {
            let entry = Entry::new(origin, Some(org), "subscription.changed", change.id);
            entry.after(json!(input)).record(&mut tx, now).await?;
        }
        tx.commit().await?;
        done?;
        self.apply_subscription(stripe, &customer.id).await?;
        self.note_overage(org, input.overage_credits).await
    }

    /// The org's subscription, if it has one that can be changed.
    pub(super) async fn running(&self, org: Id<Org>) -> Result<(Customer, Subscription)> {
        let mut tx = self.db.tenant(org).await?;
        let customer = Customer::of(&mut *tx, org).await?;
        let subscription = Subscription::of(&mut *tx, org).await?;
        let (Some(customer), Some(subscription)) = (customer, subscription) else {
            return Err(Error::NotSubscribed);
        };
        let state = subscription.state(self.grace, self.clock.now());
        if state.over {
            return Err(Error::NotSubscribed);
        }
        Ok((customer, subscription))
    }

    /// Does at Stripe what `input` says.
    async fn carry_out(
        &self,
        stripe: &Stripe,
        subscription: &Subscription,
        input: &ChangeInput,
        key: &str,
    ) -> Result<()> {
        let version = self.catalogues.current().await?;
        let target = input.target(subscription, &version.catalogue)?;
        let theirs = stripe.subscription(&subscription.stripe_subscription_id).await?;
        if target.is_some() || input.overage_credits.is_some() {
            self.require_changeable(subscription, &theirs)?;
        }
        // First: a refusal must not come after a plan has been paid for.
        if let Some(credits) = input.overage_credits {
            require_overage(subscription, &version.catalogue, credits)?;
            if credits > 0 {
                self.bill_overage(stripe, &theirs, &version.catalogue, key).await?;
            }
        }
        if let Some(target) = target {
            self.require_seats(subscription.org, &target).await?;
            let theirs = self.released(stripe, subscription, key).await?;
            let items = self.item_changes(stripe, &theirs, &target).await?;
            match target.when(subscription, &version.catalogue, self.clock.now()) {
                When::Never => {}
                When::Now => match stripe.change_items(&theirs, &items, key).await {
                    Err(failure @ Failure::Refused { status: 402, .. }) => {
                        return Err(ChangeRefused::Declined(failure).into());
                    }
                    answer => answer?,
                },
                When::PeriodEnd => {
                    stripe.schedule(&theirs, &items, target.interval, key).await?;
                }
            }
        }
        if let Some(at_period_end) = input.cancel_at_period_end {
            let theirs = self.released(stripe, subscription, key).await?;
            stripe.cancel_at_period_end(&theirs.id, at_period_end, key).await?;
        }
        Ok(())
    }

    /// What is overdue is paid first; we may not have heard of it yet.
    fn require_changeable(
        &self,
        subscription: &Subscription,
        theirs: &stripe::Subscription,
    ) -> Result<()> {
        let ours = subscription.state(self.grace, self.clock.now());
        for state in [ours, state_of(&theirs.status, false)] {
            if !state.is_changeable() {
                return Err(ChangeRefused::NotChangeable { way_on: state.way_on }.into());
            }
        }
        Ok(())
    }

    /// Nobody is put out of the org by a change.
    pub(super) async fn require_seats(&self, org: Id<Org>, target: &Target<'_>) -> Result<()> {
        let mut db = self.db.pool().acquire().await?;
        let used = auth::Seats::of(&mut db, org).await?.taken;
        if used > target.seats() {
            return Err(ChangeRefused::SeatsInUse { used, seats: target.seats() }.into());
        }
        Ok(())
    }

    /// The subscription as it is at Stripe, freed of what was to happen when its period ends.
    async fn released(
        &self,
        stripe: &Stripe,
        subscription: &Subscription,
        key: &str,
    ) -> Result<stripe::Subscription> {
        let theirs = stripe.subscription(&subscription.stripe_subscription_id).await?;
        if let Some(schedule) = &theirs.schedule {
            stripe.release_schedule(schedule, &format!("{key}-release-{schedule}")).await?;
        }
        Ok(theirs)
    }

    /// Notes how much overage the org wants, of which Stripe knows nothing.
    async fn note_overage(&self, org: Id<Org>, credits: Option<i64>) -> Result<Subscription> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        lock(&mut tx, org).await?;
        let mut it = Subscription::of(&mut *tx, org).await?.ok_or(Error::NotSubscribed)?;
        if let Some(credits) = credits {
            it.overage_credits = credits;
            it.save(&mut tx, now).await?;
            self.entitle(&mut tx, org, now).await?;
        }
        tx.commit().await?;
        Ok(it)
    }

    /// Ends a subscription now. What is left of the period is not refunded.
    pub(crate) async fn cancel_now(&self, org: Id<Org>, origin: &Origin) -> Result<Subscription> {
        let stripe = self.stripe()?;
        let (customer, subscription) = self.running(org).await?;
        let id = &subscription.stripe_subscription_id;
        if subscription.overage_cents > 0 {
            self.report_overage().await?;
        }
        match stripe.cancel(id, subscription.overage_cents > 0).await {
            // It was cancelled before, without our knowledge.
            Ok(()) | Err(Failure::Refused { status: 404, .. }) => {}
            Err(failure) => return Err(failure.into()),
        }
        let mut tx = self.db.begin().await?;
        let entry = Entry::new(origin, Some(org), "subscription.cancelled", id);
        entry.record(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        self.apply_subscription(stripe, &customer.id).await?;
        let mut tx = self.db.tenant(org).await?;
        Subscription::of(&mut *tx, org).await?.ok_or(Error::NotSubscribed)
    }
}

/// Overage is what the plan in force offers, also if another one is to follow.
fn require_overage(subscription: &Subscription, catalogue: &Catalogue, credits: i64) -> Result<()> {
    let plan = catalogue.plan(&subscription.plan);
    let most = plan.map_or(0, |plan| plan.overage(subscription.interval));
    if (0..=most).contains(&credits) {
        return Ok(());
    }
    let plan = plan.map_or_else(|| subscription.plan.clone(), |plan| plan.name.clone());
    Err(ChangeRefused::NoSuchOverage { plan, most }.into())
}
