use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Page, PageQuery, Problem};

use crate::{Billing, Error, customer::Customer, stripe};

/// A bill, as Stripe has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingInvoice)]
pub(crate) struct Invoice {
    /// Identifies it.
    #[schema(example = "in_1R…")]
    id: String,
    /// The number on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// What it comes to, in the smallest unit of the currency.
    total_cents: i64,
    /// What was paid of that.
    amount_paid_cents: i64,
    /// What is still owed.
    amount_due_cents: i64,
    /// ISO 4217, in small letters.
    #[schema(example = "usd")]
    currency: String,
    /// When it was drawn up.
    created_at: DateTime<Utc>,
    /// The page on which it can be seen and paid, and its receipt downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    hosted_url: Option<String>,
    /// The invoice as a PDF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pdf_url: Option<String>,
}

impl From<stripe::ShownInvoice> for Invoice {
    fn from(bill: stripe::ShownInvoice) -> Self {
        Self {
            id: bill.id,
            number: bill.number,
            status: bill.status,
            total_cents: bill.total,
            amount_paid_cents: bill.amount_paid,
            amount_due_cents: bill.amount_remaining,
            currency: bill.currency,
            created_at: DateTime::from_timestamp(bill.created, 0).unwrap_or_default(),
            hosted_url: bill.hosted_invoice_url,
            pdf_url: bill.invoice_pdf,
        }
    }
}

impl Billing {
    /// The org's invoices, the newest first, as Stripe has them now.
    pub(super) async fn invoices(
        &self,
        org: Id<Org>,
        query: &PageQuery,
    ) -> web::Result<Page<Invoice>> {
        let rows = query.rows()?;
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        let stripe = self.stripe()?;
        let Some(customer) = self.known_customer(org).await? else {
            return Ok(Page { items: vec![], next_cursor: None });
        };
        let bills = stripe.invoices(&customer, rows - 1, after.as_deref()).await;
        let bills = bills.map_err(Error::from)?;
        let last = bills.data.last().filter(|_| bills.has_more);
        let next_cursor = last.map(|bill| BASE64_URL_SAFE_NO_PAD.encode(&bill.id));
        Ok(Page { items: bills.data.into_iter().map(Invoice::from).collect(), next_cursor })
    }

    /// One invoice of the org.
    pub(super) async fn invoice(&self, org: Id<Org>, id: &str) -> web::Result<Invoice> {
        let stripe = self.stripe()?;
        let missing = || Error::NoSuchInvoice;
        let customer = self.known_customer(org).await?.ok_or_else(missing)?;
        if !is_invoice(id) {
            return Err(missing().into());
        }
        let bill = match stripe.invoice(id).await {
            Err(stripe::Failure::Refused { status: 404, .. }) => None,
            answer => Some(answer.map_err(Error::from)?),
        };
        let own = bill.filter(|bill| bill.customer.as_ref() == Some(&customer));
        Ok(own.map(Invoice::from).ok_or_else(missing)?)
    }

    pub(super) async fn known_customer(&self, org: Id<Org>) -> sqlx::Result<Option<String>> {
        let mut tx = self.db.tenant(org).await?;
        Ok(Customer::of(&mut *tx, org).await?.map(|customer| customer.id))
    }
}

/// The invoice after which the page begins.
fn read_cursor(cursor: &str) -> Result<String, Problem> {
    let id = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|id| String::from_utf8(id).ok());
    let invalid = || Problem::bad_request("invalid_cursor", "the cursor is not one of ours");
    id.filter(|id| is_invoice(id)).ok_or_else(invalid)
}

/// It becomes a part of a path, so nothing else may be in it.
fn is_invoice(id: &str) -> bool {
    let name = id.strip_prefix("in_").unwrap_or_default();
    (1..=100).contains(&name.len())
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}
