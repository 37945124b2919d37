use std::collections::{BTreeMap, HashMap};

use super::{Finding, Report};
use crate::{
    Billing, Error, Result, Subscription,
    catalogue::OVERAGE,
    customer::Customer,
    event::Outcome,
    price::Price,
    state::state_of,
    stripe::{Standing, Stripe},
};

impl Billing {
    /// Every subscription of our customers is here as it is at Stripe.
    pub(super) async fn compare_subscriptions(
        &self,
        stripe: &Stripe,
        report: &mut Report,
    ) -> Result<()> {
        let all = stripe.standings().await?;
        report.count("subscriptions", all.len());
        let prices = Price::names(self.db.pool()).await?;
        let mut by_customer: BTreeMap<String, HashMap<String, Standing>> = BTreeMap::new();
        for it in all {
            by_customer.entry(it.customer.clone()).or_default().insert(it.id.clone(), it);
        }
        for (customer, theirs) in by_customer {
            let Some(customer) = Customer::find(self.db.pool(), &customer).await? else { continue };
            let mut ours = Subscription::of(self.db.pool(), customer.org).await?;
            if let Some(detail) = difference(ours.as_ref(), &theirs, &prices) {
                let outcome = self.take_over_standing(stripe, &customer).await?;
                ours = Subscription::of(self.db.pool(), customer.org).await?;
                let agrees = difference(ours.as_ref(), &theirs, &prices).is_none();
                report.found(Finding {
                    kind: "subscription_differs".to_owned(),
                    object: customer.id.clone(),
                    org_id: Some(customer.org),
                    detail,
                    repaired: outcome == Outcome::Applied && agrees,
                });
            }
            find_strays(&customer, ours.as_ref(), &theirs, report);
        }
        Ok(())
    }

    /// What Stripe does not answer ends the comparison; what cannot be applied is reported.
    pub(super) async fn take_over_standing(
        &self,
        stripe: &Stripe,
        customer: &Customer,
    ) -> Result<Outcome> {
        match self.apply_subscription(stripe, &customer.id).await {
            Err(Error::Stripe(failure)) => Err(failure.into()),
            Err(error) => {
                tracing::error!(customer = customer.id, %error, "a subscription cannot be taken over");
                Ok(Outcome::Refused)
            }
            Ok(outcome) => Ok(outcome),
        }
    }
}

impl Subscription {
    /// What it is for, by the names of prices.
    fn bought(&self) -> Vec<(String, i64)> {
        let Self { plan, interval, extra_seats, overage_cents, .. } = self;
        let seats = (format!("seat-{plan}-{interval}"), *extra_seats);
        let mut bought = vec![(format!("plan-{plan}-{interval}"), 1)];
        bought.extend((*extra_seats > 0).then_some(seats));
        bought.extend((*overage_cents > 0).then(|| (OVERAGE.to_owned(), 0)));
        bought.sort();
        bought
    }
}

/// Whatever a customer pays for beside what their org has here needs a person: to end and refund it.
fn find_strays(
    customer: &Customer,
    ours: Option<&Subscription>,
    theirs: &HashMap<String, Standing>,
    report: &mut Report,
) {
    let known = ours.map(|it| it.stripe_subscription_id.as_str());
    let in_force = |it: &&Standing| state_of(&it.status, false).gives_plan();
    for stray in theirs.values().filter(in_force).filter(|it| known != Some(it.id.as_str())) {
        report.found(Finding {
            kind: "subscription_unknown".to_owned(),
            object: stray.id.clone(),
            org_id: Some(customer.org),
            detail: format!(
                "{} pays for it, and the org has {}",
                customer.id,
                known.unwrap_or("none")
            ),
            repaired: false,
        });
    }
}

/// What we have of a customer's subscriptions that Stripe has not, or the other way round.
fn difference(
    ours: Option<&Subscription>,
    theirs: &HashMap<String, Standing>,
    prices: &HashMap<String, String>,
) -> Option<String> {
    let running = theirs.values().find(|it| it.is_running());
    let Some(ours) = ours else {
        return running.map(|it| format!("{} is {}, we had none", it.id, it.status));
    };
    match theirs.get(&ours.stripe_subscription_id) {
        None => Some(format!("we had {}, which is not there", ours.stripe_subscription_id)),
        Some(same) if same.status != ours.status => {
            Some(format!("{} is {}, we had {}", same.id, same.status, ours.status))
        }
        Some(same) if same.cancel_at_period_end != ours.cancel_at_period_end => {
            Some(format!("{} ends with its period: {}", same.id, same.cancel_at_period_end))
        }
        Some(same) if same.period_end() != Some(ours.current_period_end.timestamp()) => {
            Some(format!("{} is in another period", same.id))
        }
        Some(same) if same.is_running() && same.schedule != ours.schedule_id => {
            Some(format!("{} is planned to become something else", same.id))
        }
        Some(same)
            if same.is_running()
                && same.bought(prices).is_some_and(|bought| bought != ours.bought()) =>
        {
            Some(format!("{} is for something else than {}", same.id, ours.plan))
        }
        Some(same) if !same.is_running() => running.map(|it| {
            format!("{} is {}, we had {}", it.id, it.status, ours.stripe_subscription_id)
        }),
        Some(_) => None,
    }
}
