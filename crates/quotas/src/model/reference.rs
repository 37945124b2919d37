//! The rules as simply as they can be said: no counters, no batches, no periods that begin. Whatever
//! has been used is the sum over all calls that were ever made.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::Tz;

/// How many calls of unknown outcome an org may have a day.
pub(crate) const UNKNOWNS: i64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Platform,
    Org(usize),
    User(usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Day,
    Month,
    Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Requests,
    Tokens,
    Cost,
    Unknowns,
}

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) whose: Whose,
    pub(crate) window: Window,
    pub(crate) counted: Counted,
    pub(crate) amount: i64,
    /// Whether it is the plan's.
    pub(crate) included: bool,
    pub(crate) soft: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Credits {
    pub(crate) org: usize,
    pub(crate) amount: i64,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) org: usize,
    pub(crate) user: usize,
    pub(crate) tokens: i64,
    pub(crate) cost: i64,
    pub(crate) credits: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Plan,
    Credits(i64),
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum State {
    InFlight,
    Settled { tokens: i64, cost: i64, credits: i64 },
    Unknown,
    Released,
}

#[derive(Clone, Debug)]
struct Made {
    wanted: Wanted,
    at: DateTime<Utc>,
    verdict: Verdict,
    /// Of which grant how many.
    draws: Vec<(usize, i64)>,
    /// The limits that were there.
    limits: usize,
    state: State,
}

/// The whole history.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) zones: Vec<Tz>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) credits: Vec<Credits>,
    made: Vec<Made>,
}

impl Reference {
    pub(crate) fn new(zones: &[Tz]) -> Self {
        Self { zones: zones.to_vec(), limits: Vec::new(), credits: Vec::new(), made: Vec::new() }
    }

    /// Decides about a call; its number is for ending it.
    pub(crate) fn reserve(&mut self, wanted: Wanted, now: DateTime<Utc>) -> (usize, Verdict) {
        let (verdict, draws) = self.decide(&wanted, now);
        if verdict != Verdict::Refused {
            let (state, limits) = (State::InFlight, self.limits.len());
            self.made.push(Made { wanted, at: now, verdict, draws, limits, state });
        }
        (self.made.len().saturating_sub(1), verdict)
    }

    pub(crate) fn settle(&mut self, call: usize, tokens: i64, cost: i64, credits: i64) {
        self.made[call].state = State::Settled { tokens, cost, credits };
    }

    pub(crate) fn release(&mut self, call: usize) {
        self.made[call].state = State::Released;
    }

    pub(crate) fn give_up(&mut self, call: usize) {
        self.made[call].state = State::Unknown;
    }

    /// What counts against a limit now.
    pub(crate) fn used(&self, limit: usize, now: DateTime<Utc>) -> i64 {
        let (number, limit) = (limit, &self.limits[limit]);
        let zone = match limit.whose {
            Whose::Platform => Tz::UTC,
            Whose::Org(org) | Whose::User(org, _) => self.zones[org],
        };
        let counts = |made: &&Made| {
            number < made.limits
                && concerns(limit, &made.wanted)
                && same(limit.window, zone, made.at, now)
                && (!limit.included || made.verdict == Verdict::Plan)
        };
        self.made.iter().filter(counts).map(|made| counted(limit, made)).sum()
    }

    /// What of a grant is spent or reserved.
    pub(crate) fn drawn(&self, grant: usize) -> i64 {
        self.made.iter().map(|made| drawn(made, grant)).sum()
    }

    fn decide(&self, wanted: &Wanted, now: DateTime<Utc>) -> (Verdict, Vec<(usize, i64)>) {
        let full = |(number, limit): (usize, &Limit)| {
            concerns(limit, wanted) && self.used(number, now) + needed(limit, wanted) > limit.amount
        };
        let limits = || self.limits.iter().enumerate();
        if limits().any(|(n, it)| !it.included && !it.soft && full((n, it))) {
            return (Verdict::Refused, Vec::new());
        }
        let plan = limits().filter(|(_, it)| it.included && concerns(it, wanted));
        let plan: Vec<_> = plan.collect();
        if !plan.is_empty() && !plan.into_iter().any(full) {
            return (Verdict::Plan, Vec::new());
        }
        let live = |(_, it): &(usize, &Credits)| {
            it.org == wanted.org && it.expires_at.is_none_or(|end| now < end)
        };
        let mut grants: Vec<_> = self.credits.iter().enumerate().filter(live).collect();
        grants.sort_by_key(|(n, it)| (it.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC), *n));
        let (mut missing, mut draws) = (wanted.credits, Vec::new());
        for (n, grant) in grants {
            let amount = missing.min(grant.amount - self.drawn(n));
            if amount > 0 {
                draws.push((n, amount));
                missing -= amount;
            }
        }
        if missing > 0 {
            (Verdict::Refused, Vec::new())
        } else {
            (Verdict::Credits(wanted.credits), draws)
        }
    }
}

fn concerns(limit: &Limit, wanted: &Wanted) -> bool {
    match limit.whose {
        Whose::Platform => true,
        Whose::Org(org) => org == wanted.org,
        Whose::User(org, user) => org == wanted.org && user == wanted.user,
    }
}

fn same(window: Window, zone: Tz, a: DateTime<Utc>, b: DateTime<Utc>) -> bool {
    let (a, b) = (a.with_timezone(&zone), b.with_timezone(&zone));
    match window {
        Window::Day => a.date_naive() == b.date_naive(),
        Window::Month => (a.year(), a.month()) == (b.year(), b.month()),
        Window::Lifetime => true,
    }
}

fn needed(limit: &Limit, wanted: &Wanted) -> i64 {
    match limit.counted {
        Counted::Requests | Counted::Unknowns => 1,
        Counted::Tokens => wanted.tokens,
        Counted::Cost => wanted.cost,
    }
}

/// The platform counts what it may have paid, the customer never more than was reserved.
fn counted(limit: &Limit, made: &Made) -> i64 {
    let platform = limit.whose == Whose::Platform;
    let (reserved, actual) = match (limit.counted, made.state) {
        (Counted::Unknowns, state) => return i64::from(matches!(state, State::Unknown)),
        (Counted::Requests, _) => (1, 1),
        (Counted::Tokens, State::Settled { tokens, .. }) => (made.wanted.tokens, tokens),
        (Counted::Tokens, _) => (made.wanted.tokens, 0),
        (Counted::Cost, State::Settled { cost, .. }) => (made.wanted.cost, cost),
        (Counted::Cost, _) => (made.wanted.cost, 0),
    };
    match made.state {
        State::InFlight => reserved,
        State::Settled { .. } if platform => actual,
        State::Settled { .. } => actual.min(reserved),
        State::Unknown if platform => reserved,
        State::Unknown | State::Released => 0,
    }
}

fn drawn(made: &Made, grant: usize) -> i64 {
    let mut credits = match made.state {
        State::InFlight => i64::MAX,
        State::Settled { credits, .. } => credits,
        State::Unknown | State::Released => 0,
    };
    for (of, amount) in &made.draws {
        let taken = credits.min(*amount);
        credits -= taken;
        if *of == grant {
            return taken;
        }
    }
    0
}

/// Two days before a clock change, near the end of a month.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_774_612_800) // 2026-03-27T12:00:00Z
}
