use quotas::{GrantSource, NewGrant};
use sqlx::PgConnection;

use super::no_longer_known;
use crate::{
    Billing, Checkout, CheckoutStatus, Offer, Pack, Result,
    customer::Customer,
    event::Outcome,
    payment::NewPayment,
    stripe::{Session, Stripe},
};

impl Billing {
    /// Hands out what was bought in a session, if it is paid.
    pub(crate) async fn apply_session(
        &self,
        stripe: &Stripe,
        session: &Session,
    ) -> Result<Outcome> {
        // First, so that there is no moment in which the checkout is closed but its plan not in
        // force: another plan could be bought then.
        if let ("subscription", Some(customer)) = (session.mode.as_str(), &session.customer) {
            self.apply_subscription(stripe, customer).await?;
        }
        let failed = session.is_unpaid() && self.has_failed(stripe, session).await?;
        let mut tx = self.db.begin().await?;
        let Some(checkout) = Checkout::lock(&mut tx, session).await? else {
            return Ok(Outcome::Ignored);
        };
        let customer = Customer::of(&mut *tx, checkout.org).await?;
        if customer.is_none_or(|it| session.customer.as_ref() != Some(&it.id)) {
            tracing::error!(
                checkout = %checkout.id,
                org = %checkout.org,
                session = session.id,
                "the session's customer is not the org's, so it was not applied"
            );
            return Ok(Outcome::Refused);
        }
        if session.is_settled() && checkout.status != CheckoutStatus::Paid {
            let version = self.catalogues.current().await?;
            let offer = version.catalogue.sold(&checkout.item);
            if let Offer::Pack(pack) = offer.ok_or_else(|| no_longer_known(&checkout))? {
                let currency = session.currency.as_deref();
                let currency = currency.unwrap_or(version.catalogue.currency());
                self.give_pack(&mut tx, &checkout, pack, session, currency).await?;
            }
            checkout.close(&mut tx, CheckoutStatus::Paid).await?;
        } else if session.status.as_deref() == Some("expired") {
            checkout.close(&mut tx, CheckoutStatus::Expired).await?;
        } else if failed {
            checkout.close(&mut tx, CheckoutStatus::Failed).await?;
        } else if session.is_unpaid() {
            checkout.close_page(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(Outcome::Applied)
    }

    /// Whether the money for a session that is complete will not come any more. That of a plan is its
    /// subscription's matter, which is or is not in force without the checkout.
    async fn has_failed(&self, stripe: &Stripe, session: &Session) -> Result<bool> {
        match &session.payment_intent {
            Some(intent) => Ok(stripe.intent(intent).await?.has_failed()),
            None => Ok(session.mode == "subscription"),
        }
    }

    async fn give_pack(
        &self,
        db: &mut PgConnection,
        checkout: &Checkout,
        pack: &Pack,
        session: &Session,
        currency: &str,
    ) -> Result<()> {
        let now = self.clock.now();
        // What is free has no payment.
        let paid = session.payment_intent.as_deref().unwrap_or(&session.id);
        let payment = NewPayment {
            org: checkout.org,
            checkout: checkout.id,
            stripe_id: paid,
            amount_cents: session.amount_total.unwrap_or_default(),
            currency,
        };
        self.record_payment(db, &payment, now).await?;
        let grant = NewGrant {
            org: checkout.org,
            source: GrantSource::Pack,
            amount: pack.credits,
            expires_at: None,
            external_id: format!("stripe:{paid}"),
        };
        grant.give(db, now).await?;
        Ok(())
    }
}
