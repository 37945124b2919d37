use std::mem::take;

use chrono::{DateTime, TimeDelta, Utc};
use miniserde::Deserialize;

use super::{Failure, Stripe, read::Object};

/// What the clocks of Stripe's parts may differ by: a period may begin a moment after its bill was drawn up.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// An invoice, with what it was for.
#[derive(Debug, Deserialize)]
pub(crate) struct Bill {
    /// `in_…`.
    pub(crate) id: String,
    /// Who pays: `cus_…`.
    pub(crate) customer: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub(crate) status: Option<String>,
    /// In the smallest unit of the currency; 0 for the bill of a trial.
    pub(crate) amount_paid: i64,
    /// In small letters.
    pub(crate) currency: String,
    /// When it was drawn up, in seconds since 1970.
    pub(crate) created: i64,
    /// Such as `subscription_create`, `subscription_cycle` or `subscription_update`.
    pub(crate) billing_reason: Option<String>,
    /// What it belongs to.
    pub(crate) parent: Option<Parent>,
    /// What is billed.
    pub(crate) lines: Lines,
}

/// What an invoice belongs to.
#[derive(Debug, Deserialize)]
pub(crate) struct Parent {
    /// The subscription, if it is one.
    pub(crate) subscription_details: Option<SubscriptionDetails>,
}

/// The subscription that is billed.
#[derive(Debug, Deserialize)]
pub(crate) struct SubscriptionDetails {
    /// `sub_…`.
    pub(crate) subscription: String,
    /// What we noted on it.
    pub(crate) metadata: Option<Metadata>,
}

/// What we note on subscriptions.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The checkout that started it.
    pub(crate) checkout_id: Option<String>,
}

/// The lines of an invoice.
#[derive(Debug, Deserialize)]
pub(crate) struct Lines {
    /// The first ones, or all.
    pub(crate) data: Vec<Line>,
    /// Whether there are others.
    has_more: bool,
}

/// One thing billed.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    id: String,
    /// In the smallest unit of the currency; negative: given back.
    pub(crate) amount: i64,
    /// For which time.
    pub(crate) period: Period,
    /// At what price.
    pricing: Option<Pricing>,
    /// What it comes from.
    parent: Option<LineParent>,
}

/// What a line comes from: one of both.
#[derive(Debug, Deserialize)]
struct LineParent {
    subscription_item_details: Option<Origin>,
    invoice_item_details: Option<Origin>,
}

#[derive(Debug, Deserialize)]
struct Origin {
    proration: bool,
}

/// The price of a line.
#[derive(Debug, Deserialize)]
struct Pricing {
    price_details: Option<PriceDetails>,
}

/// Which price it is.
#[derive(Debug, Deserialize)]
struct PriceDetails {
    /// `price_…`.
    price: String,
}

/// From when until when, in seconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Period {
    /// Its first second.
    pub(crate) start: i64,
    /// The first second after it.
    pub(crate) end: i64,
}

impl Object for Line {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Line {
    /// `price_…`.
    pub(crate) fn price(&self) -> Option<&str> {
        Some(self.pricing.as_ref()?.price_details.as_ref()?.price.as_str())
    }

    /// Whether it is for a part of a period, because something changed within it.
    pub(crate) fn is_proration(&self) -> bool {
        let Some(parent) = &self.parent else { return false };
        let mut origins =
            [&parent.subscription_item_details, &parent.invoice_item_details].into_iter();
        origins.any(|it| it.as_ref().is_some_and(|it| it.proration))
    }
}

impl Object for Bill {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Bill {
    /// The subscription that is billed.
    pub(crate) fn subscription(&self) -> Option<&SubscriptionDetails> {
        self.parent.as_ref()?.subscription_details.as_ref()
    }

    /// Whether nothing is owed on it any more because it was paid.
    pub(crate) fn is_paid(&self) -> bool {
        self.status.as_deref() == Some("paid")
    }

    /// Whether a period begins with it. Others bill what changes within one.
    pub(crate) fn begins_period(&self) -> bool {
        let reason = self.billing_reason.as_deref();
        matches!(reason, Some("subscription_create" | "subscription_cycle"))
    }
}

impl Stripe {
    /// The newest state of an invoice.
    pub(crate) async fn bill(&self, invoice: &str) -> Result<Bill, Failure> {
        self.whole(self.read(&format!("/invoices/{invoice}"), &[]).await?).await
    }

    /// Every paid invoice of a subscription from then on.
    pub(crate) async fn paid_bills(
        &self,
        subscription: &str,
        from: DateTime<Utc>,
    ) -> Result<Vec<Bill>, Failure> {
        let from = (from - SKEW).timestamp().max(0).to_string();
        let filters =
            [("subscription", subscription), ("status", "paid"), ("created[gte]", from.as_str())];
        let mut bills = Vec::new();
        for bill in self.all("/invoices", &filters).await? {
            bills.push(self.whole(bill).await?);
        }
        Ok(bills)
    }

    /// An invoice shows only its first lines.
    async fn whole(&self, mut bill: Bill) -> Result<Bill, Failure> {
        if take(&mut bill.lines.has_more) {
            bill.lines.data = self.all(&format!("/invoices/{}/lines", bill.id), &[]).await?;
        }
        Ok(bill)
    }
}
