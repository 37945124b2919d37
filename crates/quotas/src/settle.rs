use std::collections::HashMap;

use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd};
use usage::{Outcome, Payer, Quantities};
use uuid::Uuid;

use crate::{
    Hold, Unit,
    book::{NewEntry, NewUsage},
    hold::{Draw, Ended},
};

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    /// Which call.
    pub(crate) call: Ended,
    /// What it used; `None`: the provider billed nothing, and everything is given back.
    pub(crate) used: Option<Used>,
    /// The reaper's: only if the hold expired before that time, as it may have been renewed.
    pub(crate) if_expired_at: Option<DateTime<Utc>>,
}

/// What a call used.
#[derive(Clone, Debug)]
pub struct Used {
    /// How it ended.
    pub outcome: Outcome,
    /// What the provider counted, or our estimate.
    pub quantities: Quantities,
    /// Whether the quantities are our estimate.
    pub estimated: bool,
    /// What that costs us.
    pub cost: NanoUsd,
    /// The credits that a call of this cost draws. More than were reserved are never drawn.
    pub credits: i64,
}

impl Used {
    /// We will never learn what the provider did: the platform bears what was reserved.
    pub(crate) fn unknown(reserved: NanoUsd) -> Self {
        Self {
            outcome: Outcome::Unknown,
            quantities: Quantities::default(),
            estimated: true,
            cost: reserved,
            credits: 0,
        }
    }

    /// What a budget of this unit counts, and how much of that is beyond what was reserved.
    pub(crate) fn counted(&self, unit: Unit, platform: bool, reserved: i64) -> (i64, i64) {
        let actual = match unit {
            Unit::Requests => 1,
            Unit::Tokens => self.quantities.tokens(),
            Unit::NanoUsd => self.cost.0,
            Unit::Unknowns => return (i64::from(self.outcome == Outcome::Unknown), 0),
        };
        let counted = match (platform, self.outcome) {
            // What we do not know for certain is counted at the most that it can be.
            (true, Outcome::Unknown) => reserved,
            (true, _) if self.estimated => actual.max(reserved),
            // The platform really pays it, even beyond what was reserved.
            (true, _) => actual,
            // Nobody's fault but ours.
            (false, Outcome::Unknown) => 0,
            (false, _) => actual.min(reserved),
        };
        (counted, (counted - reserved).max(0))
    }
}

/// What ending a call does to one budget or grant.
#[derive(Debug)]
pub(crate) enum Effect {
    Budget {
        budget: Uuid,
        platform: bool,
        period: DateTime<Utc>,
        reserved: i64,
        spent: i64,
        overrun: i64,
    },
    Grant {
        grant: Uuid,
        reserved: i64,
        spent: i64,
    },
}

impl Settlement {
    /// Whether its call is `open`, and expired if that is the condition.
    pub(crate) fn is_due(&self, open: &HashMap<Id<Hold>, DateTime<Utc>>) -> bool {
        let expires_at = open.get(&self.call.id);
        expires_at.is_some_and(|end| self.if_expired_at.is_none_or(|limit| *end < limit))
    }

    /// What it does to every budget and grant that the hold draws on.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        let mut credits = self.used.as_ref().map_or(0, |used| used.credits.max(0));
        let effect = |draw: &Draw| match draw {
            Draw::Budget { budget, platform, unit, period, amount } => {
                let used = self.used.as_ref();
                let (spent, overrun) =
                    used.map_or((0, 0), |used| used.counted(*unit, *platform, *amount));
                let (budget, reserved) = (budget.uuid(), *amount);
                let (platform, period) = (*platform, *period);
                Effect::Budget { budget, platform, period, reserved, spent, overrun }
            }
            Draw::Grant { grant, amount } => {
                let spent = credits.min(*amount);
                credits -= spent;
                Effect::Grant { grant: grant.uuid(), reserved: *amount, spent }
            }
        };
        self.call.draws.iter().map(effect).collect()
    }

    /// The credits that move from available to spent.
    pub(crate) fn entries(&self, effects: &[Effect], now: DateTime<Utc>) -> Vec<NewEntry> {
        let entry = |effect: &Effect| match effect {
            Effect::Grant { grant, spent, .. } if *spent > 0 => Some(NewEntry {
                id: Uuid::now_v7(),
                org_id: self.call.org.uuid(),
                from_account: "available".to_owned(),
                to_account: "spent".to_owned(),
                amount: *spent,
                grant_id: *grant,
                external_id: format!("hold:{}:{grant}", self.call.id),
                created_at: now,
            }),
            _ => None,
        };
        effects.iter().filter_map(entry).collect()
    }

    /// The call's record, unless the provider billed nothing.
    pub(crate) fn usage(&self, effects: &[Effect], now: DateTime<Utc>) -> Option<NewUsage> {
        let (used, call) = (self.used.as_ref()?, &self.call);
        let booked = effects.iter().filter_map(|it| match it {
            Effect::Budget { budget, spent, .. } if *spent > 0 => Some((*budget, *spent)),
            _ => None,
        });
        let credits =
            effects.iter().map(|it| if let Effect::Grant { spent, .. } = it { *spent } else { 0 });
        let paid_by = if used.outcome == Outcome::Unknown { Payer::Platform } else { call.paid_by };
        let (budgets, booked) = booked.unzip();
        Some(NewUsage {
            id: call.id.uuid(),
            org_id: call.org.uuid(),
            user_id: call.user.uuid(),
            api_key_id: call.api_key.map(Id::uuid),
            project_id: call.project,
            operation: call.operation.clone(),
            provider: call.provider.clone(),
            model: call.model.clone(),
            price_id: call.price.uuid(),
            outcome: used.outcome.to_string(),
            paid_by: paid_by.to_string(),
            input_tokens: used.quantities.input_tokens,
            cached_input_tokens: used.quantities.cached_input_tokens,
            output_tokens: used.quantities.output_tokens,
            images: used.quantities.images,
            seconds: used.quantities.seconds,
            estimated: used.estimated,
            cost_nano_usd: used.cost.0,
            credits: credits.sum(),
            request_id: call.request_id.clone(),
            reserved_at: call.created_at,
            created_at: now,
            budgets,
            booked,
            cache_write_tokens: used.quantities.cache_write_tokens,
            long_cache_write_tokens: used.quantities.long_cache_write_tokens,
            in_batch: call.in_batch,
        })
    }
}
