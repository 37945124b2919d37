//! Takes over the state of Stripe's objects: idempotent, in any order, any number of times at once.

mod invoice;
mod session;
mod subscription;

use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::{
    Billing, Checkout, Error, Result,
    event::{Event, Outcome, Subject},
};

/// Brings our books in line with what an event is about. What the event says is not used: by now
/// it may be old.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ApplyStripeEvent {
    pub(crate) id: String,
}

impl Job for ApplyStripeEvent {
    const NAME: &'static str = "billing.apply_stripe_event";
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        let Some(event) = Event::waiting(billing.db.pool(), &self.id).await? else {
            return Ok(());
        };
        match billing.apply(&event).await {
            Ok(Outcome::Refused) => Ok(billing.leave_to_people(&event, &self.id).await?),
            Ok(outcome) => {
                Ok(event.handled(billing.db.pool(), outcome, billing.clock.now()).await?)
            }
            Err(error) => {
                let failures = event.failed(billing.db.pool(), &error.to_string()).await?;
                if failures == i32::from(Self::MAX_ATTEMPTS) {
                    billing.tell_of_stuck_event(&self.id, &error).await?;
                }
                Err(error.into())
            }
        }
    }
}

impl Billing {
    /// Leaves an event to people, who are told once a day of each customer: what happens at Stripe comes as
    /// several events.
    async fn leave_to_people(&self, event: &Event, id: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if event.is_first_refused(&mut tx, now).await? {
            self.tell_of_refused_event(id).await?;
        }
        event.handled(&mut *tx, Outcome::Refused, now).await?;
        Ok(tx.commit().await?)
    }

    async fn apply(&self, event: &Event) -> Result<Outcome> {
        let stripe = self.stripe()?;
        if !event.is_for(stripe.live) {
            return Ok(Outcome::Ignored);
        }
        match event.subject() {
            Subject::Session(id) => self.apply_session(stripe, &stripe.session(id).await?).await,
            Subject::Payment(id) => match stripe.session_of(id).await? {
                Some(session) => self.apply_session(stripe, &session).await,
                None => Ok(Outcome::Ignored),
            },
            Subject::Returns(intent) => self.apply_returns(stripe, intent).await,
            Subject::Charge(charge) => match stripe.intent_of(charge).await? {
                Some(intent) => self.apply_returns(stripe, &intent).await,
                None => Ok(Outcome::Ignored),
            },
            Subject::Customer(id) => self.apply_subscription(stripe, id).await,
            Subject::Other => Ok(Outcome::Ignored),
        }
    }
}

/// An item that was sold must stay in the catalogue.
fn no_longer_known(checkout: &Checkout) -> Error {
    Error::UnknownItem { item: checkout.item.clone() }
}
