//! What customers' programs are told of what is paid.

use app::{Event, EventType};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Interval, Payment, Subscription};

pub(crate) fn types() -> Vec<EventType> {
    vec![
        EventType::of::<SubscriptionChanged>(),
        EventType::of::<InvoicePaid>(),
        EventType::of::<InvoicePaymentFailed>(),
    ]
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SubscriptionChanged {
    /// The plan.
    plan: String,
    /// `month` or `year`.
    #[schema(value_type = String)]
    interval: Interval,
    /// Seats beyond those of the plan.
    extra_seats: i64,
    /// How it stands: `trialing`, `active`, `past_due`, `canceled` and so on.
    status: String,
    /// When the period that was billed last ends.
    current_period_end: DateTime<Utc>,
    /// Whether it ends then, too.
    cancel_at_period_end: bool,
}

impl From<&Subscription> for SubscriptionChanged {
    fn from(it: &Subscription) -> Self {
        Self {
            plan: it.plan.clone(),
            interval: it.interval,
            extra_seats: it.extra_seats,
            status: it.status.clone(),
            current_period_end: it.current_period_end,
            cancel_at_period_end: it.cancel_at_period_end,
        }
    }
}

impl Subscription {
    /// Tells the org's programs what is other than `before`, in the transaction that changes it.
    pub(crate) async fn tell(
        &self,
        db: &mut PgConnection,
        before: Option<&Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let event = SubscriptionChanged::from(self);
        if before.map(SubscriptionChanged::from).as_ref() != Some(&event) {
            webhooks::emit(&mut *db, self.org, &event, now).await?;
        }
        match (self.past_due_since, before.and_then(|it| it.past_due_since)) {
            (Some(past_due_since), None) => {
                let event = InvoicePaymentFailed { plan: self.plan.clone(), past_due_since };
                webhooks::emit(db, self.org, &event, now).await
            }
            _ => Ok(()),
        }
    }
}

impl Event for SubscriptionChanged {
    const TYPE: &'static str = "subscription.changed";
    const DESCRIPTION: &'static str =
        "The organization's subscription began, was renewed, changed or ended.";

    fn example() -> Self {
        Self {
            plan: "pro".into(),
            interval: Interval::Month,
            extra_seats: 0,
            status: "active".into(),
            current_period_end: DateTime::UNIX_EPOCH + TimeDelta::days(20_800),
            cancel_at_period_end: false,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoicePaid {
    /// The payment's id: `GET /v1/billing/payments` says what it was for.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) payment_id: Id<Payment>,
    /// How much, in the smallest unit of the currency.
    pub(crate) amount_cents: i64,
    /// ISO 4217, in small letters.
    pub(crate) currency: String,
}

impl Event for InvoicePaid {
    const TYPE: &'static str = "invoice.paid";
    const DESCRIPTION: &'static str = "A payment arrived: for a subscription or a pack of credits.";

    fn example() -> Self {
        let payment_id = Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into();
        Self { payment_id, amount_cents: 4900, currency: "usd".into() }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoicePaymentFailed {
    /// The plan whose bill is overdue.
    pub(crate) plan: String,
    /// Since when.
    pub(crate) past_due_since: DateTime<Utc>,
}

impl Event for InvoicePaymentFailed {
    const TYPE: &'static str = "invoice.payment_failed";
    const DESCRIPTION: &'static str = "The bill of the subscription could not be collected.";

    fn example() -> Self {
        Self { plan: "pro".into(), past_due_since: DateTime::UNIX_EPOCH + TimeDelta::days(20_785) }
    }
}
