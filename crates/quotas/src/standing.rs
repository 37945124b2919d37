use chrono::{DateTime, Utc};

use crate::{Call, Kind, Period, Scope, Unit, picture::Picture, settle::Used};

/// What an org has left for calls like one that was just reserved, as the decision saw it: nothing is
/// read for it. Other instances may have used some of it since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The budget of which the smallest part is left, of those that stop calls. The platform's own are
    /// nobody else's business.
    pub budget: Option<BudgetLeft>,
    /// Credits that can still be spent.
    pub credits: i64,
}

/// What is left of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetLeft {
    /// Whose use it counts.
    pub scope: Scope,
    /// What it counts.
    pub unit: Unit,
    /// How long it lasts.
    pub period: Period,
    /// How much may be used.
    pub limit: i64,
    /// How much is left, calls in flight counted at the most they can use.
    pub remaining: i64,
    /// When it begins anew; never for a lifetime budget.
    pub resets_at: Option<DateTime<Utc>>,
    /// The part that the call itself reserves.
    reserved: i64,
}

impl Standing {
    /// After `call` has been reserved on `org`'s picture.
    pub(crate) fn of(org: &Picture, call: &Call, from_plan: bool, now: DateTime<Utc>) -> Self {
        let counted = org.budgets.iter().filter(|it| {
            let drawn = from_plan || it.kind == Kind::Limit;
            drawn && !it.soft && it.unit != Unit::Unknowns && it.counts(call)
        });
        let left = counted.map(|it| {
            let limit = it.limit(now);
            (it, limit, limit.saturating_sub(it.counters.used()).max(0))
        });
        // remaining / limit, without dividing.
        let tightest = left.min_by(|(_, limit, remaining), (_, other_limit, other_remaining)| {
            let part = |remaining: i64, of: i64| i128::from(remaining) * i128::from(of.max(1));
            part(*remaining, *other_limit).cmp(&part(*other_remaining, *limit))
        });
        let budget = tightest.map(|(budget, limit, remaining)| BudgetLeft {
            scope: budget.scope,
            unit: budget.unit,
            period: budget.period,
            limit,
            remaining,
            resets_at: budget.period.end(now, org.zone),
            reserved: budget.unit.of(call),
        });
        let rooms = org.grants.iter().map(|grant| grant.room(now));
        Self { budget, credits: rooms.fold(0, i64::saturating_add) }
    }

    /// When the call has used no more than `used`, and drawn `credits` of those that it reserved.
    pub(crate) fn after(mut self, used: &Used, (reserved, credits): (i64, i64)) -> Self {
        if let Some(budget) = &mut self.budget {
            let (counted, _) = used.counted(budget.unit, false, budget.reserved);
            budget.remaining = budget.remaining.saturating_add(budget.reserved - counted);
        }
        self.credits = self.credits.saturating_add(reserved - credits);
        self
    }
}
