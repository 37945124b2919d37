use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{Billing, Interval, state::state_of};

/// Months of a year.
const MONTHS: i64 = 12;

/// What subscriptions bring again and again, as they stand now, in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecurringRevenue {
    /// ISO 4217, in small letters. Currencies are never added up.
    pub currency: String,
    /// Organizations with a plan in force that has a price, whatever is taken off.
    pub orgs: i64,
    /// A month of all of it (MRR), before discounts, in the currency's smallest unit, rounded down.
    pub mrr_cents: i64,
    /// A year of it (ARR).
    pub arr_cents: i64,
    /// A month of an organization on average (ARPU), rounded down.
    pub arpu_cents: i64,
    /// Its parts.
    pub plans: Vec<RecurringPlan>,
}

/// What a plan brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecurringPlan {
    /// Which.
    pub plan: String,
    /// How often it is paid.
    pub interval: Interval,
    /// Organizations that pay for it.
    pub orgs: i64,
    /// A month of it, rounded down.
    pub mrr_cents: i64,
    /// A year of it.
    pub arr_cents: i64,
}

/// Subscriptions that stand alike.
struct Group {
    currency: String,
    plan: String,
    interval: Interval,
    status: String,
    lapsed: bool,
    orgs: i64,
    arr_cents: i64,
}

impl Group {
    /// Whether it is paid for: its plan is in force and no trial.
    fn pays(&self) -> bool {
        self.status != "trialing" && state_of(&self.status, self.lapsed).gives_plan()
    }
}

impl Billing {
    /// What subscriptions bring that are paid, or overdue and still in grace: one entry for each currency.
    pub async fn recurring_revenue(
        &self,
        db: impl PgExecutor<'_>,
    ) -> sqlx::Result<Vec<RecurringRevenue>> {
        let groups = groups(db, self.clock.now() - self.grace).await?;
        let mut currencies = BTreeMap::<String, RecurringRevenue>::new();
        for group in groups.into_iter().filter(Group::pays) {
            let of = currencies.entry(group.currency.clone()).or_default();
            of.currency = group.currency;
            of.orgs += group.orgs;
            of.arr_cents += group.arr_cents;
            match of.plans.last_mut() {
                Some(it) if it.plan == group.plan && it.interval == group.interval => {
                    it.orgs += group.orgs;
                    it.arr_cents += group.arr_cents;
                }
                _ => of.plans.push(RecurringPlan {
                    plan: group.plan,
                    interval: group.interval,
                    orgs: group.orgs,
                    mrr_cents: 0,
                    arr_cents: group.arr_cents,
                }),
            }
        }
        let mut all: Vec<_> = currencies.into_values().collect();
        for of in &mut all {
            of.mrr_cents = of.arr_cents / MONTHS;
            of.arpu_cents = of.arr_cents / (MONTHS * of.orgs.max(1));
            of.plans.iter_mut().for_each(|plan| plan.mrr_cents = plan.arr_cents / MONTHS);
        }
        Ok(all)
    }
}

/// All that cost something, plan by plan. What is overdue since before `grace` has lapsed.
async fn groups(db: impl PgExecutor<'_>, grace: DateTime<Utc>) -> sqlx::Result<Vec<Group>> {
    sqlx::query_as!(
        Group,
        r#"select recurring_currency as "currency!", plan, billing_interval as "interval: _", status,
                  coalesce(past_due_since <= $1, false) as "lapsed!", count(*) as "orgs!",
                  sum(case billing_interval when 'year' then recurring_cents else 12 * recurring_cents end)::bigint
                      as "arr_cents!"
           from subscriptions
           where recurring_cents > 0 and recurring_currency is not null
           group by 1, 2, 3, 4, 5
           order by 1, 2, 3"#,
        grace,
    )
    .fetch_all(db)
    .await
}
