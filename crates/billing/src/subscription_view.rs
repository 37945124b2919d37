use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Interval, Subscription, overage::OverageView};

/// What an org subscribed to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingSubscription)]
pub(crate) struct SubscriptionView {
    /// The plan that is paid for.
    #[schema(example = "pro")]
    plan: String,
    /// How often.
    interval: Interval,
    /// Seats beyond those of the plan.
    extra_seats: i64,
    /// Stripe's word for how it stands: `trialing`, `active`, `past_due`, `unpaid`, `paused`,
    /// `incomplete`, `incomplete_expired` or `canceled`.
    #[schema(example = "active")]
    status: String,
    /// What that lets the org use.
    access: Access,
    /// What to do about it, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    /// The period that was billed last.
    current_period_start: DateTime<Utc>,
    /// When that ends.
    current_period_end: DateTime<Utc>,
    /// Whether it ends then, too.
    cancel_at_period_end: bool,
    /// When its trial ends or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_end: Option<DateTime<Utc>>,
    /// Since when a bill is overdue.
    #[serde(skip_serializing_if = "Option::is_none")]
    past_due_since: Option<DateTime<Utc>>,
    /// Until when the plan stays in force although it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_until: Option<DateTime<Utc>>,
    /// What it changes to when the period ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// What may be used beyond the org's credits, if its plan offers any.
    #[serde(skip_serializing_if = "Option::is_none")]
    overage: Option<OverageView>,
}

/// What a subscription changes to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NextSubscription)]
struct Next {
    /// The plan.
    plan: String,
    /// How often it is paid.
    interval: Interval,
    /// Seats beyond those of the plan.
    extra_seats: i64,
    /// When.
    at: DateTime<Utc>,
}

impl SubscriptionView {
    /// As it stands at `now`, if overdue bills may wait for `grace`.
    pub(crate) fn of(
        it: Subscription,
        overage: Option<OverageView>,
        grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Self {
        let state = it.state(grace, now);
        let next = it.next_plan.zip(it.next_interval).map(|(plan, interval)| Next {
            plan,
            interval,
            extra_seats: it.next_extra_seats.unwrap_or_default(),
            at: it.current_period_end,
        });
        Self {
            plan: it.plan,
            interval: it.interval,
            extra_seats: it.extra_seats,
            status: it.status,
            access: state.access,
            action: (state.access != Access::Full).then_some(state.way_on),
            current_period_start: it.current_period_start,
            current_period_end: it.current_period_end,
            cancel_at_period_end: it.cancel_at_period_end,
            trial_end: it.trial_end,
            past_due_since: it.past_due_since,
            grace_until: it.past_due_since.map(|since| since + grace),
            next,
            overage,
        }
    }
}
