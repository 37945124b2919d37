use miniserde::Deserialize;

use super::{Failure, Stripe};

/// An invoice, with what it was for.
#[derive(Debug, Deserialize)]
pub(crate) struct Bill {
    /// `in_…`.
    pub(crate) id: String,
    /// Who pays: `cus_…`.
    pub(crate) customer: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub(crate) status: Option<String>,
    /// In the smallest unit of the currency.
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
    /// All of them.
    pub(crate) data: Vec<Line>,
}

/// One thing billed.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    /// For which time.
    pub(crate) period: Period,
    /// At what price.
    pub(crate) pricing: Option<Pricing>,
}

/// The price of a line.
#[derive(Debug, Deserialize)]
pub(crate) struct Pricing {
    pub(crate) price_details: Option<PriceDetails>,
}

/// Which price it is.
#[derive(Debug, Deserialize)]
pub(crate) struct PriceDetails {
    /// `price_…`.
    pub(crate) price: String,
}

impl Line {
    /// `price_…`.
    pub(crate) fn price(&self) -> Option<&str> {
        Some(self.pricing.as_ref()?.price_details.as_ref()?.price.as_str())
    }
}

/// From when until when, in seconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Period {
    /// Its first second.
    pub(crate) start: i64,
    /// The first second after it.
    pub(crate) end: i64,
}

impl Bill {
    /// The subscription that is billed.
    pub(crate) fn subscription(&self) -> Option<&SubscriptionDetails> {
        self.parent.as_ref()?.subscription_details.as_ref()
    }

    /// Whether a period begins with it that it pays whole, in advance.
    pub(crate) fn begins(&self, period: Period) -> bool {
        let whole = matches!(
            self.billing_reason.as_deref(),
            Some("subscription_create" | "subscription_cycle")
        );
        whole
            && self.period().is_some_and(|last| last.start == period.start)
            && self.created < period.end
    }

    /// The time that is billed last: lines of earlier ones settle what was left of them.
    pub(crate) fn period(&self) -> Option<Period> {
        self.lines.data.iter().map(|it| it.period).max_by_key(|it| (it.end, it.start))
    }
}

impl Stripe {
    /// The newest state of an invoice.
    pub(crate) async fn bill(&self, invoice: &str) -> Result<Bill, Failure> {
        self.read(&format!("/invoices/{invoice}"), &[]).await
    }
}
