use chrono::{DateTime, Utc};
use kernel::NanoUsd;
use usage::Payer;

use crate::{Budget, Call, Grant, Kind, Scope, Unit, hold::Draw};

/// Why a call may not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A budget that somebody set has no room for it.
    BudgetExhausted {
        /// Whose.
        scope: Scope,
        /// What it counts.
        unit: Unit,
        /// When it begins anew; never for a lifetime budget.
        resets_at: Option<DateTime<Utc>>,
    },
    /// What the plan includes is used up, and there are no credits.
    IncludedExhausted {
        /// When the plan includes calls again.
        resets_at: DateTime<Utc>,
    },
    /// It could not fit a budget even if nothing of that had been used.
    CallTooLarge {
        /// Whose budget.
        scope: Scope,
        /// What it counts.
        unit: Unit,
    },
    /// There are credits, but too few; or the plan includes nothing that would come back.
    InsufficientCredits {
        /// How many it can draw.
        needed: i64,
        /// How many there are.
        available: i64,
    },
}

/// The locked rows that decide about a batch of calls. Each call is decided in turn and changes
/// what the next one sees.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) budgets: Vec<Budget>,
    /// In the order in which they are spent.
    pub(crate) grants: Vec<Grant>,
    pub(crate) credit_covers: NanoUsd,
    pub(crate) now: DateTime<Utc>,
}

/// What a permitted call reserves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) paid_by: Payer,
    pub(crate) credits: i64,
    pub(crate) draws: Vec<Draw>,
}

/// How many credits a call of this cost draws: never worth less than what it costs us.
pub(crate) fn credits_for(per_call: i64, cost: NanoUsd, credit_covers: NanoUsd) -> i64 {
    let (cost, covers) = (i128::from(cost.0), i128::from(credit_covers.0.max(1)));
    let for_cost = (cost + covers - 1) / covers;
    i64::try_from(for_cost).unwrap_or(i64::MAX).max(per_call)
}

impl Books {
    /// Reserves all that `call` needs, or nothing.
    pub(crate) fn reserve(&mut self, call: &Call) -> Result<Reservation, Refusal> {
        for budget in &mut self.budgets {
            budget.roll(self.now);
        }
        let applies = |kind: Kind| move |it: &&Budget| it.kind == kind && it.counts(call);
        if let Some(full) = self
            .budgets
            .iter()
            .filter(applies(Kind::Limit))
            .find(|it| it.room() < quantity(it.unit, call))
        {
            if full.amount < quantity(full.unit, call) {
                return Err(Refusal::CallTooLarge { scope: full.scope, unit: full.unit });
            }
            return Err(Refusal::BudgetExhausted {
                scope: full.scope,
                unit: full.unit,
                resets_at: full.period.end(self.now),
            });
        }
        let mut included = self.budgets.iter().filter(applies(Kind::Included)).peekable();
        let has_plan = included.peek().is_some();
        let full: Vec<&Budget> =
            included.filter(|it| it.room() < quantity(it.unit, call)).collect();
        if has_plan && full.is_empty() {
            let draws = self.draw_budgets(call, &[Kind::Limit, Kind::Included]);
            return Ok(Reservation { paid_by: Payer::Plan, credits: 0, draws });
        }
        let comes_back = full
            .iter()
            .map(|it| it.period.end(self.now).filter(|_| it.amount >= quantity(it.unit, call)))
            .collect::<Option<Vec<_>>>()
            .and_then(|ends| ends.into_iter().max());
        let (credits, mut draws) = self.draw_credits(call, comes_back)?;
        draws.extend(self.draw_budgets(call, &[Kind::Limit]));
        Ok(Reservation { paid_by: Payer::Credits, credits, draws })
    }

    fn draw_budgets(&mut self, call: &Call, kinds: &[Kind]) -> Vec<Draw> {
        let mut draws = Vec::new();
        for budget in &mut self.budgets {
            if kinds.contains(&budget.kind) && budget.counts(call) {
                let amount = quantity(budget.unit, call);
                budget.held += amount;
                let (budget, period_start) = (budget.id, budget.period_start);
                draws.push(Draw::Budget { budget, period_start, amount });
            }
        }
        draws
    }

    fn draw_credits(
        &mut self,
        call: &Call,
        included_again_at: Option<DateTime<Utc>>,
    ) -> Result<(i64, Vec<Draw>), Refusal> {
        let needed = credits_for(call.price.credits, call.max_cost, self.credit_covers);
        let now = self.now;
        let live = |grant: &&Grant| grant.org == call.org && grant.is_live(now);
        let available: i64 = self.grants.iter().filter(live).map(Grant::room).sum();
        if available < needed {
            return Err(match included_again_at {
                Some(resets_at) if available == 0 => Refusal::IncludedExhausted { resets_at },
                _ => Refusal::InsufficientCredits { needed, available },
            });
        }
        let (mut draws, mut missing) = (Vec::new(), needed);
        for grant in self.grants.iter_mut().filter(|grant| live(&&**grant)) {
            let amount = missing.min(grant.room());
            if amount > 0 {
                grant.held += amount;
                missing -= amount;
                draws.push(Draw::Grant { grant: grant.id, amount });
            }
        }
        Ok((needed, draws))
    }
}

fn quantity(unit: Unit, call: &Call) -> i64 {
    match unit {
        Unit::Requests => 1,
        Unit::Tokens => call.max_tokens,
        Unit::NanoUsd => call.max_cost.0,
    }
}
