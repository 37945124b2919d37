use auth::Recipient;
use chrono::{DateTime, Utc};
use email::ReceiptPaid;
use sqlx::PgConnection;

use crate::{Billing, Checkout, Result, payment::NewPayment};

impl Billing {
    /// Records a payment that Stripe says has arrived, and mails a receipt to those who pay, both once. What a
    /// coupon made free has no receipt.
    pub(crate) async fn record_payment(
        &self,
        db: &mut PgConnection,
        payment: &NewPayment<'_>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let is_new = payment.record(&mut *db, now).await?;
        if !is_new || payment.amount_cents == 0 {
            return Ok(());
        }
        let checkout = Checkout::get(&mut *db, payment.org, payment.checkout).await?;
        let what = checkout.map_or_else(String::new, |checkout| checkout.item);
        let (cents, currency) = (payment.amount_cents, payment.currency.to_uppercase());
        let amount = format!("{currency} {}.{:02}", cents / 100, cents % 100);
        for Recipient { email, user, name } in &Recipient::payers(&mut *db, payment.org).await? {
            let reference = payment.stripe_id;
            let receipt = ReceiptPaid { name, amount: &amount, what: &what, reference };
            self.mailer.queue(db, email, *user, &receipt).await?;
        }
        Ok(())
    }
}
