use std::collections::HashMap;

use chrono::{DateTime, Utc};
use miniserde::Deserialize;
use stripe_core::refund::CreateRefund;

use super::{Failure, Stripe, read::Object};

/// Money on its way to us.
#[derive(Debug, Deserialize)]
pub(crate) struct Charge {
    /// `ch_…` or `py_…`.
    pub(crate) id: String,
    /// Whether it came.
    pub(crate) paid: bool,
    /// Who paid: `cus_…`.
    pub(crate) customer: Option<String>,
    /// The payment it belongs to: `pi_…`.
    pub(crate) payment_intent: Option<String>,
    /// What it did to our balance, sent whole because we ask for that.
    pub(crate) balance_transaction: Option<BalanceTransaction>,
}

/// The payment that a charge belongs to.
#[derive(Deserialize)]
struct ChargedIntent {
    payment_intent: Option<String>,
}

/// A movement of our balance at Stripe.
#[derive(Debug, Deserialize)]
pub(crate) struct BalanceTransaction {
    /// `txn_…`.
    pub(crate) id: String,
    /// What Stripe keeps; negative if it gives a fee back.
    pub(crate) fee: i64,
    /// The balance's currency, which need not be the payment's.
    pub(crate) currency: String,
}

/// Money that we give back.
#[derive(Debug, Deserialize)]
pub(crate) struct Refund {
    /// `re_…`.
    pub(crate) id: String,
    /// In the smallest unit of the currency.
    pub(crate) amount: i64,
    /// In small letters.
    pub(crate) currency: String,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    pub(crate) status: Option<String>,
    /// Of which payment.
    pub(crate) payment_intent: Option<String>,
    /// Of which charge.
    pub(crate) charge: Option<String>,
    /// Why it failed.
    pub(crate) failure_reason: Option<String>,
    /// What we noted on it.
    pub(crate) metadata: Option<RefundMetadata>,
}

/// What we note on refunds.
#[derive(Debug, Deserialize)]
pub(crate) struct RefundMetadata {
    /// Our refund's id; absent on those made in the dashboard.
    pub(crate) refund_id: Option<String>,
}

/// Money that a customer's bank takes back.
#[derive(Debug, Deserialize)]
pub(crate) struct Dispute {
    /// `dp_…`.
    pub(crate) id: String,
    /// In the smallest unit of the currency.
    pub(crate) amount: i64,
    /// In small letters.
    pub(crate) currency: String,
    /// `needs_response`, `under_review`, `won`, `lost`; those that begin with `warning_` only ask.
    pub(crate) status: String,
    /// Such as `fraudulent`.
    pub(crate) reason: String,
    /// Of which payment.
    pub(crate) payment_intent: Option<String>,
    /// Of which charge.
    pub(crate) charge: Option<String>,
    /// What it did to our balance.
    pub(crate) balance_transactions: Option<Vec<BalanceTransaction>>,
}

/// How a payment intent leads to its invoice.
#[derive(Deserialize)]
struct InvoicePayment {
    invoice: String,
    payment: Option<PaidBy>,
}

#[derive(Deserialize)]
struct PaidBy {
    payment_intent: Option<String>,
}

impl Object for Charge {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Object for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Object for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// The payment that a charge belongs to.
    pub(crate) async fn intent_of(&self, charge: &str) -> Result<Option<String>, Failure> {
        let charge: ChargedIntent = self.read(&format!("/charges/{charge}"), &[]).await?;
        Ok(charge.payment_intent)
    }

    /// The invoice that a payment paid, if it paid one.
    pub(crate) async fn invoice_of(&self, intent: &str) -> Result<Option<String>, Failure> {
        let filters = [("payment[type]", "payment_intent"), ("payment[payment_intent]", intent)];
        let payment: Option<InvoicePayment> = self.first("/invoice_payments", &filters).await?;
        Ok(payment.map(|it| it.invoice))
    }

    /// The payment that paid an invoice, if one did.
    pub(crate) async fn intent_for(&self, invoice: &str) -> Result<Option<String>, Failure> {
        let payment: Option<InvoicePayment> =
            self.first("/invoice_payments", &[("invoice", invoice)]).await?;
        Ok(payment.and_then(|it| it.payment?.payment_intent))
    }

    /// Every refund of a payment.
    pub(crate) async fn refunds_of(&self, intent: &str) -> Result<Vec<Refund>, Failure> {
        self.all("/refunds", &[("payment_intent", intent)]).await
    }

    /// Every dispute of a payment.
    pub(crate) async fn disputes_of(&self, intent: &str) -> Result<Vec<Dispute>, Failure> {
        self.all("/disputes", &[("payment_intent", intent)]).await
    }

    /// Every charge since `from`.
    pub(crate) async fn charges_since(&self, from: DateTime<Utc>) -> Result<Vec<Charge>, Failure> {
        let from = from.timestamp().to_string();
        let filters = [("created[gte]", from.as_str()), ("expand[]", "data.balance_transaction")];
        self.all("/charges", &filters).await
    }

    /// Every refund since `from`.
    pub(crate) async fn refunds_since(&self, from: DateTime<Utc>) -> Result<Vec<Refund>, Failure> {
        self.all("/refunds", &[("created[gte]", &from.timestamp().to_string())]).await
    }

    /// Every dispute since `from`.
    pub(crate) async fn disputes_since(
        &self,
        from: DateTime<Utc>,
    ) -> Result<Vec<Dispute>, Failure> {
        self.all("/disputes", &[("created[gte]", &from.timestamp().to_string())]).await
    }

    /// Gives a part of a payment back, once for each `id` of ours.
    pub(crate) async fn create_refund(
        &self,
        id: &str,
        intent: &str,
        amount: i64,
    ) -> Result<Refund, Failure> {
        let metadata = HashMap::from([("refund_id".to_owned(), id.to_owned())]);
        let request = CreateRefund::new().payment_intent(intent).amount(amount).metadata(metadata);
        self.send(&request, Some(format!("refund-{id}"))).await
    }
}
