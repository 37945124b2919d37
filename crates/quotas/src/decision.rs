use std::collections::HashMap;

use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd, Org};
use usage::Payer;

use crate::{
    Budget, Call, Kind, Refusal, Unit,
    hold::{Draw, Ended},
    picture::Picture,
    refusal::{Exhausted, latest},
    standing::Standing,
};

/// What is known of the books. Each call is decided in turn and changes what the next one sees.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) platform: Option<Picture>,
    pub(crate) orgs: HashMap<Id<Org>, Picture>,
}

impl Books {
    /// Forgets pictures that `settlement` shows to be old: it reserved in a later period.
    pub(crate) fn forget_older_than(&mut self, call: &Ended) {
        for draw in &call.draws {
            let Draw::Budget { budget, platform, period, .. } = draw else { continue };
            let picture =
                if *platform { self.platform.as_mut() } else { self.orgs.get_mut(&call.org) };
            let is_old = picture
                .and_then(|it| it.budget(*budget))
                .is_some_and(|shown| shown.shown < *period);
            if is_old && *platform {
                self.platform = None;
            } else if is_old {
                self.orgs.remove(&call.org);
            }
        }
    }
}

/// What a permitted call reserves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) paid_by: Payer,
    pub(crate) credits: i64,
    pub(crate) draws: Vec<Draw>,
    /// What is left.
    pub(crate) standing: Standing,
    /// When it was made: the time of whoever is ahead.
    pub(crate) at: DateTime<Utc>,
}

/// How many credits a call of this cost draws: never worth less than what it costs us.
pub(crate) fn credits_for(per_call: i64, cost: NanoUsd, credit_covers: NanoUsd) -> i64 {
    let (cost, covers) = (i128::from(cost.0), i128::from(credit_covers.0.max(1)));
    let for_cost = (cost + covers - 1) / covers;
    i64::try_from(for_cost).unwrap_or(i64::MAX).max(per_call)
}

/// The pictures that decide about one call.
pub(crate) struct Decision<'a> {
    pub(crate) platform: &'a mut Picture,
    pub(crate) org: &'a mut Picture,
    pub(crate) credit_covers: NanoUsd,
    pub(crate) now: DateTime<Utc>,
}

impl Decision<'_> {
    /// Reserves all that `call` needs, or nothing.
    pub(crate) fn reserve(mut self, call: &Call) -> Result<Reservation, Refusal> {
        // The instance whose clock is ahead has begun the period for all.
        self.now = self.now.max(self.org.latest_start()).max(self.platform.latest_start());
        self.org.roll(self.now);
        self.platform.roll(self.now);
        self.check_limits(call)?;
        let (has_plan, full) = self.check_plan(call);
        if has_plan && full.is_empty() {
            let draws = self.draw_budgets(call, true);
            return Ok(self.reservation(call, Payer::Plan, 0, draws));
        }
        let needed = credits_for(call.price.credits, call.max_cost, self.credit_covers);
        let mut draws = self.draw_credits(needed, &full)?;
        for full in &full {
            // Another instance may have given back what was thought to be used up.
            self.org.budget(full.id).into_iter().for_each(|budget| budget.counters.rely());
        }
        draws.extend(self.draw_budgets(call, false));
        Ok(self.reservation(call, Payer::Credits, needed, draws))
    }

    fn reservation(
        &self,
        call: &Call,
        paid_by: Payer,
        credits: i64,
        draws: Vec<Draw>,
    ) -> Reservation {
        let standing = Standing::of(self.org, call, paid_by == Payer::Plan, self.now);
        Reservation { paid_by, credits, draws, standing, at: self.now }
    }

    fn budgets(&mut self) -> impl Iterator<Item = &mut Budget> {
        self.org.budgets.iter_mut().chain(&mut self.platform.budgets)
    }

    /// Every budget that somebody set must have room; of several that have none, the one is named
    /// that has room again last.
    fn check_limits(&mut self, call: &Call) -> Result<(), Refusal> {
        let (now, org_zone, platform_zone) = (self.now, self.org.zone, self.platform.zone);
        let mut full: Vec<Exhausted> = Vec::new();
        for budget in self.budgets() {
            let stops = budget.kind == Kind::Limit && !budget.soft && budget.counts(call);
            if stops && !budget.fits(call, now) {
                let zone = if budget.org.is_some() { org_zone } else { platform_zone };
                full.push(Exhausted::new(budget, call, now, zone));
            }
        }
        match latest(full) {
            None => Ok(()),
            Some(full) if full.is_too_small() => Err(Refusal::CallTooLarge(Box::new(full))),
            Some(full) => Err(Refusal::BudgetExhausted(Box::new(full))),
        }
    }

    /// Whether there is a plan, and what of it is used up.
    fn check_plan(&mut self, call: &Call) -> (bool, Vec<Exhausted>) {
        let (now, zone) = (self.now, self.org.zone);
        let (mut has_plan, mut full) = (false, Vec::new());
        for budget in &mut self.org.budgets {
            if budget.kind == Kind::Included && budget.counts(call) {
                has_plan = true;
                if !budget.fits(call, now) {
                    full.push(Exhausted::new(budget, call, now, zone));
                }
            }
        }
        (has_plan, full)
    }

    fn draw_budgets(&mut self, call: &Call, from_plan: bool) -> Vec<Draw> {
        let counts = |it: &&mut Budget| it.counts(call) && (from_plan || it.kind == Kind::Limit);
        self.budgets()
            .filter(counts)
            .map(|budget| {
                let (unit, amount) = (budget.unit, budget.unit.of(call));
                if unit != Unit::Unknowns {
                    budget.counters.reserve(amount);
                }
                let (platform, period) = (budget.org.is_none(), budget.starts);
                Draw::Budget { budget: budget.id, platform, unit, period, amount }
            })
            .collect()
    }

    pub(crate) fn draw_credits(
        &mut self,
        needed: i64,
        plan: &[Exhausted],
    ) -> Result<Vec<Draw>, Refusal> {
        let now = self.now;
        let rooms = self.org.grants.iter().map(|grant| grant.room(now));
        let available = rooms.fold(0, i64::saturating_add);
        if available < needed {
            let again = plan.iter().all(|it| !it.is_too_small()) && available == 0;
            return Err(match latest(plan.to_vec()).filter(|_| again) {
                Some(full) if full.resets_at.is_some() => {
                    Refusal::IncludedExhausted(Box::new(full))
                }
                _ => Refusal::InsufficientCredits { needed, available },
            });
        }
        let (mut draws, mut missing) = (Vec::new(), needed);
        for grant in &mut self.org.grants {
            if missing == 0 {
                break;
            }
            let amount = grant.draw(missing, now);
            missing -= amount;
            if amount > 0 {
                draws.push(Draw::Grant { grant: grant.id, amount });
            }
        }
        Ok(draws)
    }
}
