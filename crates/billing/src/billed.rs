//! Which plans bills pay for, and from when on.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Billing, Interval, Result,
    month::{Month, Period},
    price::Price,
    stripe::Bill,
};

/// The longest that a month can be.
const MONTH: TimeDelta = TimeDelta::days(31);

/// What one bill pays for.
#[derive(Debug, Default)]
pub(crate) struct Billed {
    /// Plans of whole periods, in advance.
    pub(crate) whole: Vec<(String, Period)>,
    /// Better plans for what was left of a period.
    better: Vec<Better>,
}

/// A better plan than the one that a period began with.
#[derive(Debug)]
struct Better {
    plan: String,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// A plan and since when it is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaidPlan {
    pub(crate) plan: String,
    pub(crate) from: DateTime<Utc>,
}

/// A period that is paid, and its plans in their order: the first one from its start.
#[derive(Debug)]
pub(crate) struct PaidPeriod {
    pub(crate) period: Period,
    /// When it ends, or another one takes its place.
    pub(crate) until: DateTime<Utc>,
    pub(crate) plans: Vec<PaidPlan>,
}

/// A line about a plan.
#[derive(Debug)]
struct PlanLine {
    plan: String,
    period: Period,
    /// In the smallest unit of the currency; negative: given back.
    amount: i64,
    is_proration: bool,
}

impl Billing {
    /// What `bill` pays for, if it is paid.
    pub(crate) async fn billed(&self, bill: &Bill) -> Result<Billed> {
        let mut lines = Vec::new();
        for line in &bill.lines.data {
            let price = Price::find(self.db.pool(), line.price().unwrap_or_default()).await?;
            let Some(price) = price.filter(Price::is_plan) else { continue };
            let (plan, interval) = self.plan_of(&price.item).await?;
            let Some(period) = period(line.period.start, line.period.end, interval) else {
                continue;
            };
            let (amount, is_proration) = (line.amount, line.is_proration());
            lines.push(PlanLine { plan, period, amount, is_proration });
        }
        Ok(Billed::of(lines))
    }

    /// The periods that `bills` of one subscription pay for.
    pub(crate) async fn paid_periods(&self, bills: &[Bill]) -> Result<Vec<PaidPeriod>> {
        let mut all = Vec::new();
        for bill in bills.iter().filter(|bill| bill.is_paid()) {
            all.push(self.billed(bill).await?);
        }
        Ok(add_up(all))
    }
}

impl PaidPeriod {
    /// The months of it that have begun.
    pub(crate) fn months(&self, now: DateTime<Utc>) -> impl Iterator<Item = Month> {
        let begun = Month::begun(self.period, now).into_iter();
        begun.filter(move |month| month.start < self.until && month.start <= now)
    }
}

fn period(start: i64, end: i64, interval: Interval) -> Option<Period> {
    let time = |seconds| DateTime::from_timestamp(seconds, 0);
    Some(Period { start: time(start)?, end: time(end)?, interval })
}

impl Billed {
    /// What counts of prorations is what they come to: a change gives back what was paid for the rest of the
    /// period and charges for it anew, and of what stays as it was nothing is left.
    fn of(lines: Vec<PlanLine>) -> Self {
        let mut billed = Self::default();
        let mut changed: BTreeMap<String, (i64, Period)> = BTreeMap::new();
        for PlanLine { plan, period, amount, is_proration } in lines {
            if is_proration {
                let (sum, _) = changed.entry(plan).or_insert((0, period));
                *sum = sum.saturating_add(amount);
            } else {
                billed.whole.push((plan, period));
            }
        }
        let dearer = changed.into_iter().filter(|(_, (amount, _))| *amount > 0);
        billed.better = dearer
            .map(|(plan, (_, Period { start, end, .. }))| Better { plan, from: start, until: end })
            .collect();
        billed
    }

    /// Whether it pays for the credits called `1790000000` (the month that begins then) or `1790000000:pro` (what a
    /// better plan has more, from some day in that month). `months`: when those begin that credits were given for.
    pub(crate) fn pays_for(&self, given: &str, months: &[i64]) -> bool {
        let begins = |month: &str| DateTime::from_timestamp(month.parse().ok()?, 0);
        match given.split_once(':') {
            None => begins(given).is_some_and(|month| {
                let mut whole = self.whole.iter().map(|(_, period)| *period);
                whole.any(|it| Month::begun(it, it.end).iter().any(|it| it.start == month))
            }),
            Some((month, plan)) => begins(month).is_some_and(|month| {
                self.better.iter().any(|it| it.plan == plan && it.covers(month, months))
            }),
        }
    }

    /// Whether it pays for something of `period`.
    pub(crate) fn is_about(&self, period: Period) -> bool {
        self.whole.iter().any(|(_, whole)| whole.start == period.start)
            || self.better.iter().any(|it| period.contains(it.from))
    }
}

impl Better {
    /// Whether it is for a part of the month that begins then: the one that ran when it was paid, or a
    /// later one of a year.
    fn covers(&self, month: DateTime<Utc>, months: &[i64]) -> bool {
        let next = months.iter().copied().filter(|it| *it > month.timestamp()).min();
        let ends = next.and_then(|next| DateTime::from_timestamp(next, 0));
        let ends = ends.unwrap_or(month + MONTH).min(month + MONTH);
        month < self.until && self.from < ends
    }
}

/// Puts together what several bills pay for.
fn add_up(bills: Vec<Billed>) -> Vec<PaidPeriod> {
    let (mut paid, mut better) = (Vec::new(), Vec::new());
    for bill in bills {
        for (plan, period) in bill.whole {
            let plans = vec![PaidPlan { plan, from: period.start }];
            paid.push(PaidPeriod { period, until: period.end, plans });
        }
        better.extend(bill.better);
    }
    paid.sort_by_key(|paid| paid.period.start);
    for index in 1..paid.len() {
        paid[index - 1].until = paid[index - 1].until.min(paid[index].period.start);
    }
    better.sort_by_key(|it| it.from);
    for Better { plan, from, .. } in better {
        let mut running = paid.iter_mut().filter(|it| (it.period.start..it.until).contains(&from));
        if let Some(running) = running.next() {
            running.plans.push(PaidPlan { plan, from });
        }
    }
    paid
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{Billed, Interval, PlanLine, add_up, period};

    /// Days since some day.
    const DAY: i64 = 86_400;

    fn line(plan: &str, days: (i64, i64), interval: Interval, amount: i64) -> PlanLine {
        let period = period(days.0 * DAY, days.1 * DAY, interval).unwrap();
        PlanLine { plan: plan.into(), period, amount, is_proration: false }
    }

    fn month(plan: &str, day: i64) -> Billed {
        Billed::of(vec![line(plan, (day, day + 30), Interval::Month, 4_900)])
    }

    /// A change on a day, of the rest of a period that ends on another one.
    fn change(from: (&str, i64), to: (&str, i64), days: (i64, i64)) -> Billed {
        let part = |(plan, amount)| {
            let line = line(plan, days, Interval::Month, amount);
            PlanLine { is_proration: true, ..line }
        };
        Billed::of(vec![part(from), part(to)])
    }

    fn pays(billed: &Billed, day: i64, plan: &str) -> bool {
        let given = [format!("{}", day * DAY), format!("{}:{plan}", day * DAY)];
        let given = if plan.is_empty() { &given[0] } else { &given[1] };
        billed.pays_for(given, &[0, 30 * DAY, 60 * DAY])
    }

    #[test]
    fn a_bill_pays_for_the_months_that_its_period_has() {
        let bill = month("creator", 30);
        assert!(pays(&bill, 30, "") && !pays(&bill, 0, "") && !pays(&bill, 60, ""));
        assert!(!pays(&bill, 45, ""), "that is the first of a year that began within it");
        assert!(!pays(&bill, 30, "pro"), "that has a bill of its own");
        assert!(!bill.pays_for("nonsense", &[]) && !bill.pays_for("x:pro", &[]));
        // From 1 January 1970 on.
        let year = Billed::of(vec![line("pro", (0, 365), Interval::Year, 49_000)]);
        assert!(pays(&year, 0, "") && pays(&year, 31, "") && pays(&year, 59, ""));
        assert!(!pays(&year, 60, "") && !pays(&year, 365, ""));
    }

    #[test]
    fn an_upgrade_pays_for_the_difference_to_its_own_plan_in_its_own_month() {
        let upgrade = change(("creator", -950), ("pro", 2_450), (45, 60));
        assert!(pays(&upgrade, 30, "pro"));
        for (day, plan) in [(30, ""), (30, "agency"), (30, "creator"), (0, "pro"), (60, "pro")] {
            assert!(!pays(&upgrade, day, plan), "{day} {plan}");
        }
    }

    #[test]
    fn an_upgrade_within_a_year_pays_for_the_differences_of_its_later_months() {
        let upgrade = change(("creator", -17_000), ("pro", 44_000), (45, 365));
        assert!(pays(&upgrade, 30, "pro") && pays(&upgrade, 60, "pro"));
        assert!(!pays(&upgrade, 0, "pro") && !pays(&upgrade, 30, ""));
    }

    #[test]
    fn what_stays_as_it_was_is_not_paid_again() {
        let seat = change(("pro", -2_450), ("pro", 2_450), (45, 60));
        assert!(!pays(&seat, 30, "pro") && !pays(&seat, 30, ""));
    }

    #[test]
    fn bills_add_up_to_periods_in_any_order() {
        let agency = change(("pro", -10), ("agency", 20), (50, 60));
        let pro = change(("creator", -10), ("pro", 20), (40, 60));
        let year = Billed::of(vec![line("agency", (55, 420), Interval::Year, 199_000)]);
        let late = change(("agency", -10), ("pro", 20), (57, 420));
        let paid = add_up(vec![agency, late, month("creator", 30), year, pro]);
        let plans: Vec<Vec<&str>> = paid
            .iter()
            .map(|paid| paid.plans.iter().map(|it| it.plan.as_str()).collect())
            .collect();
        assert_eq!(plans, [vec!["creator", "pro", "agency"], vec!["agency", "pro"]]);
    }

    #[test]
    fn the_months_of_a_period_end_when_another_one_takes_its_place() {
        let year = Billed::of(vec![line("pro", (0, 365), Interval::Year, 49_000)]);
        let paid = add_up(vec![month("agency", 40), year]);
        let now = DateTime::from_timestamp(300 * DAY, 0).unwrap();
        let months: Vec<usize> = paid.iter().map(|paid| paid.months(now).count()).collect();
        assert_eq!(months, [2, 1], "January, February; and the one that began within it");
    }
}
