use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ChangeInput, ChangeRefused, target::When};
use crate::{Billing, Interval, Result};

/// What a change would cost, computed by Stripe.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPreview)]
pub(crate) struct Preview {
    /// When it would take effect.
    when: When,
    /// At which moment: now, or when the period ends.
    at: DateTime<Utc>,
    /// What would be charged at that moment, in the smallest unit of the currency. Of a change that
    /// takes effect now this is the price of what is left of the period, less what was paid for it.
    amount_due_cents: i64,
    /// In small letters.
    #[schema(example = "usd")]
    currency: String,
    /// How it comes about.
    lines: Vec<PreviewLine>,
}

/// A line of the bill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPreviewLine)]
struct PreviewLine {
    /// What for.
    description: String,
    /// How much; negative: given back.
    amount_cents: i64,
}

impl Billing {
    /// What `input` would cost. Nothing changes.
    pub(crate) async fn preview(&self, org: Id<Org>, input: &ChangeInput) -> Result<Preview> {
        let stripe = self.stripe()?;
        let (_, subscription) = self.running(org).await?;
        let version = self.catalogues.current().await?;
        let now = self.clock.now();
        let target =
            input.target(&subscription, &version.catalogue)?.ok_or(ChangeRefused::Nothing)?;
        self.require_seats(org, &target).await?;
        let when = target.when(&subscription, &version.catalogue, now);
        if when != When::Now {
            return Ok(Preview::at_period_end(when, subscription.current_period_end, &target));
        }
        let theirs = stripe.subscription(&subscription.stripe_subscription_id).await?;
        let items = self.item_changes(stripe, &theirs, &target).await?;
        let invoice = stripe.preview(&theirs.id, &items).await?;
        let lines = invoice.lines.data.into_iter().map(|line| PreviewLine {
            description: line.description.unwrap_or_default(),
            amount_cents: line.amount,
        });
        Ok(Preview {
            when,
            at: now,
            amount_due_cents: invoice.amount_due,
            currency: invoice.currency,
            lines: lines.collect(),
        })
    }
}

impl Preview {
    /// What begins with the next period costs its price.
    fn at_period_end(when: When, at: DateTime<Utc>, target: &super::target::Target<'_>) -> Self {
        let interval = match target.interval {
            Interval::Month => "month",
            Interval::Year => "year",
        };
        let plan = PreviewLine {
            description: format!("{}, each {interval}", target.plan.name),
            amount_cents: target.plan.cents(target.interval),
        };
        let seats = PreviewLine {
            description: format!("{} further seats, each {interval}", target.extra_seats),
            amount_cents: target.plan.seat_cents(target.interval) * target.extra_seats,
        };
        let lines: Vec<_> =
            [plan, seats].into_iter().filter(|line| line.amount_cents > 0).collect();
        let amount_due_cents = lines.iter().map(|line| line.amount_cents).sum();
        Self { when, at, amount_due_cents, currency: target.currency.to_owned(), lines }
    }
}
