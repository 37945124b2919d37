use audit::{Entry, Origin};
use chrono::TimeDelta;
use jobs::{Enqueue, Job};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Paid;
use crate::{
    Billing, Error, Failure, Payment, Refund, Result,
    stripe::{self, Stripe},
};

/// After that Stripe's memory of an idempotency key is not relied upon: it lasts for a day.
const KEY_LIFE: TimeDelta = TimeDelta::hours(12);

/// How long the request itself has to ask Stripe before a job does it.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// What to give back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundInput {
    /// How much, in the smallest unit of the payment's currency; absent: all that is left.
    #[schema(minimum = 1)]
    pub amount_cents: Option<i64>,
    /// Why. Kept in the audit log.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Asks Stripe for a refund that was written down, if whoever wrote it could not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SendRefund {
    pub(crate) id: Id<Refund>,
}

impl Job for SendRefund {
    const NAME: &'static str = "billing.send_refund";
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        match billing.send_refund(self.id).await {
            // It is written down as failed.
            Ok(_) | Err(Error::RefundRefused { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Billing {
    /// Gives a payment back, in part or whole: written down before Stripe is asked, so that neither
    /// a crash nor a repetition with the same `key` gives it back twice. If Stripe does not answer, a
    /// job asks again, and the refund is answered as it is: `requested`.
    pub async fn refund(
        &self,
        payment: Id<Payment>,
        input: &RefundInput,
        key: &str,
        origin: &Origin,
    ) -> Result<Refund> {
        self.stripe()?;
        let refund = self.write_down(payment, input, key, origin).await?;
        match self.send_refund(refund.id).await {
            Err(Error::Stripe(Failure::Unavailable(why))) => {
                tracing::warn!(refund = %refund.id, why, "a refund waits for Stripe");
                Ok(refund)
            }
            answer => answer,
        }
    }

    async fn write_down(
        &self,
        payment: Id<Payment>,
        input: &RefundInput,
        key: &str,
        origin: &Origin,
    ) -> Result<Refund> {
        let (now, operator) = (self.clock.now(), operator(origin));
        let mut tx = self.db.begin().await?;
        let paid = Paid::get(&mut *tx, payment).await?.ok_or(Error::NoSuchPayment)?;
        // Of two who refund at once the second sees what the first did.
        paid.lock(&mut tx).await?;
        if let Some(known) = Refund::requested(&mut *tx, operator, key).await? {
            let is_same = known.payment_id == payment
                && known.reason.as_deref() == Some(input.reason.trim())
                && input.amount_cents.is_none_or(|amount| amount == known.amount_cents);
            return if is_same { Ok(known) } else { Err(Error::KeyReused) };
        }
        let left = paid.left(&mut tx).await?;
        let amount_cents = input.amount_cents.unwrap_or(left);
        if !(1..=left).contains(&amount_cents) {
            return Err(Error::RefundTooLarge { left });
        }
        let refund = Refund {
            id: Id::new(),
            payment_id: payment,
            stripe_id: None,
            amount_cents,
            currency: paid.currency.clone(),
            status: "requested".to_owned(),
            reason: Some(input.reason.trim().to_owned()),
            failure: None,
            requested_by: operator,
            created_at: now,
        };
        refund.insert(&mut tx, &paid, key).await?;
        let after = json!({ "payment": payment, "amount_cents": amount_cents,
                            "currency": paid.currency, "reason": refund.reason });
        let entry = Entry::new(origin, Some(paid.org), "refund.requested", refund.id);
        entry.after(after).record(&mut tx, now).await?;
        let job = SendRefund { id: refund.id };
        let key = format!("billing.send_refund:{}", refund.id);
        Enqueue::new(&job).key(key).after(PATIENCE).send(&mut tx).await?;
        tx.commit().await?;
        Ok(refund)
    }

    /// Has Stripe do what is written down, unless it has.
    pub(crate) async fn send_refund(&self, id: Id<Refund>) -> Result<Refund> {
        let stripe = self.stripe()?;
        let refund = Refund::get(self.db.pool(), id).await?.ok_or(Error::NoSuchPayment)?;
        if refund.status != "requested" {
            return match refund.failure {
                Some(reason) if refund.stripe_id.is_none() => Err(Error::RefundRefused { reason }),
                _ => Ok(refund),
            };
        }
        let paid = Paid::get(self.db.pool(), refund.payment_id).await?;
        let paid = paid.ok_or(Error::NoSuchPayment)?;
        let Some(intent) = self.intent(stripe, &paid).await? else {
            return self.refuse(id, "the payment moved no money".to_owned()).await;
        };
        match self.ask(stripe, &refund, &intent).await {
            Err(Failure::Refused { reason, .. }) => return self.refuse(id, reason).await,
            answer => answer?,
        }
        self.apply_returns(stripe, &intent).await?;
        Refund::get(self.db.pool(), id).await?.ok_or(Error::NoSuchPayment)
    }

    /// One that was asked for long ago is looked for first: Stripe forgets keys, but not refunds.
    async fn ask(&self, stripe: &Stripe, refund: &Refund, intent: &str) -> Result<(), Failure> {
        let id = refund.id.to_string();
        if self.clock.now() - refund.created_at > KEY_LIFE {
            let refunds = stripe.refunds_of(intent).await?;
            let ours = |it: &stripe::Refund| {
                it.metadata.as_ref().is_some_and(|it| it.refund_id.as_ref() == Some(&id))
            };
            if refunds.iter().any(ours) {
                return Ok(());
            }
        }
        stripe.create_refund(&id, intent, refund.amount_cents).await?;
        Ok(())
    }

    async fn refuse(&self, id: Id<Refund>, reason: String) -> Result<Refund> {
        let mut db = self.db.pool().acquire().await?;
        Refund::fail(&mut db, id, &reason, self.clock.now()).await?;
        Err(Error::RefundRefused { reason })
    }
}

fn operator(origin: &Origin) -> Option<Uuid> {
    match origin.actor {
        audit::Actor::Operator(id) => Some(id.uuid()),
        _ => None,
    }
}
