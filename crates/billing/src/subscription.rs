use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor, types::Json};

use crate::{
    Interval,
    billed::PaidPlan,
    state::{State, state_of},
};

/// What an org subscribed to, as Stripe has it, and what we gave for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) org: Id<Org>,
    /// The plan that is paid for.
    pub plan: String,
    /// How often.
    pub interval: Interval,
    /// Seats beyond those of the plan.
    pub extra_seats: i64,
    /// Stripe's word for how it stands; see [`crate::STATES`].
    pub status: String,
    /// The period that was billed last.
    pub current_period_start: DateTime<Utc>,
    /// When that ends.
    pub current_period_end: DateTime<Utc>,
    /// Whether it ends then, too.
    pub cancel_at_period_end: bool,
    /// When its trial ends or ended.
    pub trial_end: Option<DateTime<Utc>>,
    /// Since when a bill is overdue.
    pub past_due_since: Option<DateTime<Utc>>,
    /// `sub_…`.
    pub(crate) stripe_subscription_id: String,
    /// The version of the catalogue in which the running period was paid.
    pub(crate) catalogue_version: i32,
    /// The end of the last period whose bill is paid.
    pub(crate) paid_until: Option<DateTime<Utc>>,
    /// The plans of the running period that are paid, each from when on; none: the period is not paid.
    pub(crate) paid_plans: Json<Vec<PaidPlan>>,
    /// How often people were reminded of the overdue bill.
    pub(crate) reminders: i16,
    /// The month whose credits were given last.
    pub(crate) credited_month: Option<DateTime<Utc>>,
    /// The plan that they were given for.
    pub(crate) credited_plan: Option<String>,
    /// Who changes it when the period ends: `sub_sched_…`.
    pub(crate) schedule_id: Option<String>,
    /// To which plan.
    pub(crate) next_plan: Option<String>,
    /// Paid how often.
    pub(crate) next_interval: Option<Interval>,
    /// With how many seats beyond those of the plan.
    pub(crate) next_extra_seats: Option<i64>,
    /// Whether people were told that its trial ends soon.
    pub(crate) trial_reminded: bool,
    /// What a credit of overage costs; 0: Stripe bills none.
    pub(crate) overage_cents: i64,
    /// How many of those the org wants to use at most in a period.
    pub(crate) overage_credits: i64,
    /// What a period costs, plan and seats, before discounts, in the smallest unit of its currency.
    pub(crate) recurring_cents: i64,
    /// Which that is, in small letters, if its price is one of ours.
    pub(crate) recurring_currency: Option<String>,
}

impl Subscription {
    /// The subscription of `org`, if there ever was one.
    pub(crate) async fn of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _", plan, billing_interval as "interval: _", extra_seats, status,
                      current_period_start, current_period_end, cancel_at_period_end, trial_end,
                      past_due_since, stripe_subscription_id, catalogue_version, paid_until, reminders,
                      credited_month, credited_plan, schedule_id, next_plan,
                      next_interval as "next_interval: _", next_extra_seats, overage_cents,
                      overage_credits, trial_reminded, recurring_cents, recurring_currency,
                      paid_plans as "paid_plans: _"
               from subscriptions
               where org_id = $1"#,
            org as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Replaces what we knew of the org's subscription. The org must be [locked](crate::lock).
    pub(crate) async fn save(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into subscriptions
                 (org_id, stripe_subscription_id, plan, billing_interval, extra_seats, status,
                  current_period_start, current_period_end, cancel_at_period_end, trial_end,
                  past_due_since, catalogue_version, paid_until, reminders, credited_month,
                  credited_plan, schedule_id, next_plan, next_interval, next_extra_seats, updated_at,
                  overage_cents, overage_credits, trial_reminded)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                     $19, $20, $21, $22, $23, $24)
             on conflict (org_id) do update set
                 stripe_subscription_id = excluded.stripe_subscription_id,
                 plan = excluded.plan,
                 billing_interval = excluded.billing_interval,
                 extra_seats = excluded.extra_seats,
                 status = excluded.status,
                 current_period_start = excluded.current_period_start,
                 current_period_end = excluded.current_period_end,
                 cancel_at_period_end = excluded.cancel_at_period_end,
                 trial_end = excluded.trial_end,
                 past_due_since = excluded.past_due_since,
                 catalogue_version = excluded.catalogue_version,
                 paid_until = excluded.paid_until,
                 reminders = excluded.reminders,
                 credited_month = excluded.credited_month,
                 credited_plan = excluded.credited_plan,
                 schedule_id = excluded.schedule_id,
                 next_plan = excluded.next_plan,
                 next_interval = excluded.next_interval,
                 next_extra_seats = excluded.next_extra_seats,
                 updated_at = excluded.updated_at,
                 overage_cents = excluded.overage_cents,
                 overage_credits = excluded.overage_credits,
                 trial_reminded = excluded.trial_reminded",
            self.org as _,
            self.stripe_subscription_id,
            self.plan,
            self.interval as _,
            self.extra_seats,
            self.status,
            self.current_period_start,
            self.current_period_end,
            self.cancel_at_period_end,
            self.trial_end,
            self.past_due_since,
            self.catalogue_version,
            self.paid_until,
            self.reminders,
            self.credited_month,
            self.credited_plan,
            self.schedule_id,
            self.next_plan,
            self.next_interval as _,
            self.next_extra_seats,
            now,
            self.overage_cents,
            self.overage_credits,
            self.trial_reminded,
        )
        .execute(&mut *db)
        .await?;
        self.save_prices(db).await
    }

    async fn save_prices(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query!(
            "update subscriptions set recurring_cents = $2, recurring_currency = $3, paid_plans = $4
             where org_id = $1",
            self.org as _,
            self.recurring_cents,
            self.recurring_currency,
            &self.paid_plans as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// What follows from how it stands, if overdue bills may wait for `grace`.
    pub(crate) fn state(&self, grace: TimeDelta, now: DateTime<Utc>) -> &'static State {
        let lapsed = self.past_due_since.is_some_and(|since| since + grace <= now);
        state_of(&self.status, lapsed)
    }

    /// Whether the running period is paid.
    pub(crate) fn is_paid(&self) -> bool {
        self.paid_until.is_some_and(|until| until >= self.current_period_end)
    }
}

/// Makes everybody wait who wants to change what `org` has, until the transaction ends. To be taken
/// before anything is read that decides.
pub(crate) async fn lock(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 7))", org.to_string())
        .execute(db)
        .await?;
    Ok(())
}

#[cfg(test)]
impl Subscription {
    /// An active one.
    pub(crate) fn example(
        org: Id<Org>,
        interval: Interval,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Self {
        Self {
            org,
            plan: "creator".into(),
            interval,
            extra_seats: 0,
            status: "active".into(),
            current_period_start: start,
            current_period_end: end,
            cancel_at_period_end: false,
            trial_end: None,
            past_due_since: None,
            stripe_subscription_id: "sub_1".into(),
            catalogue_version: 0,
            paid_until: Some(end),
            paid_plans: Json(vec![PaidPlan { plan: "creator".into(), from: start }]),
            reminders: 0,
            credited_month: None,
            credited_plan: None,
            schedule_id: None,
            next_plan: None,
            next_interval: None,
            next_extra_seats: None,
            trial_reminded: false,
            overage_cents: 0,
            overage_credits: 0,
            recurring_cents: 0,
            recurring_currency: None,
        }
    }
}
