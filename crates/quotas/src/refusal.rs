use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::Id;
use serde::Serialize;
use uuid::Uuid;

use crate::{Budget, Call, Period, Scope, Unit};

/// Why a call may not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A budget that somebody set has no room for it.
    BudgetExhausted(Box<Exhausted>),
    /// What the plan includes is used up, and there are no credits.
    IncludedExhausted(Box<Exhausted>),
    /// It could not fit a budget even if nothing of that had been used.
    CallTooLarge(Box<Exhausted>),
    /// There are credits, but too few; or the plan includes nothing that would come back.
    InsufficientCredits {
        /// How many it can draw.
        needed: i64,
        /// How many there are.
        available: i64,
    },
}

/// A budget that has no room for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exhausted {
    /// Which.
    pub id: Id<Budget>,
    /// Whose use it counts.
    pub scope: Scope,
    /// The project, user or key, if it is about one.
    pub subject: Option<Uuid>,
    /// What it counts.
    pub unit: Unit,
    /// The one operation it counts, or all.
    pub operation: Option<String>,
    /// How long it lasts.
    pub period: Period,
    /// How much may be used.
    pub limit: i64,
    /// How much calls that have ended used.
    pub used: i64,
    /// How much calls in flight reserve.
    pub held: i64,
    /// How much the call can need.
    pub needed: i64,
    /// When it begins anew; never for a lifetime budget.
    pub resets_at: Option<DateTime<Utc>>,
}

impl Exhausted {
    pub(crate) fn new(budget: &Budget, call: &Call, now: DateTime<Utc>, zone: Tz) -> Self {
        let held = budget.counters.in_flight();
        Self {
            id: budget.id,
            scope: budget.scope,
            subject: budget.subject,
            unit: budget.unit,
            operation: budget.operation.clone(),
            period: budget.period,
            limit: budget.limit(now),
            used: budget.counters.used() - held,
            held,
            needed: budget.unit.needed(call),
            resets_at: budget.period.end(now, zone),
        }
    }

    /// Whether the call would not fit even if nothing had been used.
    pub(crate) fn is_too_small(&self) -> bool {
        self.limit < self.needed
    }

    /// Whether there is room again as soon as calls in flight end for less than they reserve.
    pub(crate) fn may_free_soon(&self) -> bool {
        self.held > 0 && self.limit.saturating_sub(self.used) >= self.needed
    }
}

/// The one that keeps the call waiting longest.
pub(crate) fn latest(full: Vec<Exhausted>) -> Option<Exhausted> {
    let never = DateTime::<Utc>::MAX_UTC;
    full.into_iter()
        .max_by_key(|it| (it.is_too_small(), !it.may_free_soon(), it.resets_at.unwrap_or(never)))
}
