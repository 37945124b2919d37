//! Random histories on several instances whose pictures are old, over a database that is a few lines
//! of Rust, against the reference. `QUOTAS_MODEL_CASES` says how many; a failure prints its seed.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use kernel::{Id, NanoUsd, Org, User};
use proptest::{collection::vec, prelude::*, test_runner::Config};
use usage::{Outcome, Payer, Price, Quantities};
use uuid::Uuid;

use crate::{
    Budget, Call, Grant, Hold, Kind, Period, Scope, Unit, Used, batch::Batch, counters::Counters,
    decision::Books, settle::Settlement, terms::Terms,
};
use database::Database;
use reference::{Counted, Credits, Limit, Reference, UNKNOWNS, Verdict, Wanted, Whose, Window};
use step::{How, Step, step};

mod database;
mod reference;
mod step;

const ORGS: usize = 2;
const INSTANCES: usize = 3;
const ZONES: [Tz; ORGS] = [Tz::Europe__Berlin, Tz::America__Havana];

struct World {
    now: DateTime<Utc>,
    orgs: Vec<Id<Org>>,
    users: Vec<Id<User>>,
    terms: Terms,
    database: Database,
    instances: Vec<Books>,
    reference: Reference,
    /// In flight: the hold, its number in the reference, and which instance owns it.
    calls: Vec<(Hold, usize, usize)>,
}

impl World {
    fn new() -> Self {
        let terms = Terms {
            credit_covers: NanoUsd(i64::MAX),
            life: TimeDelta::hours(1),
            instance: Uuid::nil(),
        };
        let mut world = Self {
            now: reference::start(),
            orgs: (0..ORGS).map(|_| Id::new()).collect(),
            users: (0..2).map(|_| Id::new()).collect(),
            terms,
            database: Database::default(),
            instances: (0..INSTANCES).map(|_| Books::default()).collect(),
            reference: Reference::new(&ZONES),
            calls: Vec::new(),
        };
        for org in 0..ORGS {
            let (whose, window) = (Whose::Org(org), Window::Day);
            let limit = |counted, amount, included| Limit {
                whose,
                window,
                counted,
                amount,
                included,
                soft: false,
            };
            world.limit(limit(Counted::Unknowns, UNKNOWNS, false));
            world.limit(limit(Counted::Requests, 4, true));
        }
        world
    }

    fn bump(&mut self, org: Option<Id<Org>>) {
        *self.database.versions.entry(org.map_or(Uuid::nil(), Id::uuid)).or_default() += 1;
    }

    fn limit(&mut self, limit: Limit) {
        let (scope, org, subject) = match limit.whose {
            Whose::Platform => (Scope::Global, None, None),
            Whose::Org(org) => (Scope::Org, Some(self.orgs[org]), None),
            Whose::User(org, user) => {
                (Scope::User, Some(self.orgs[org]), Some(self.users[user].uuid()))
            }
        };
        let zone = match limit.whose {
            Whose::Platform => Tz::UTC,
            Whose::Org(org) | Whose::User(org, _) => ZONES[org],
        };
        let period = match limit.window {
            Window::Day => Period::Day,
            Window::Month => Period::Month,
            Window::Lifetime => Period::Lifetime,
        };
        let start = period.start(self.now, zone);
        self.database.budgets.push(Budget {
            id: Id::new(),
            scope,
            org,
            subject,
            kind: if limit.included { Kind::Included } else { Kind::Limit },
            period,
            unit: match limit.counted {
                Counted::Requests => Unit::Requests,
                Counted::Tokens => Unit::Tokens,
                Counted::Cost => Unit::NanoUsd,
                Counted::Unknowns => Unit::Unknowns,
            },
            operation: None,
            soft: limit.soft,
            amount: limit.amount,
            raised_by: 0,
            raised_until: None,
            version: 0,
            shown: start,
            starts: start,
            counters: Counters::new(0, 0),
        });
        self.bump(org);
        self.reference.limits.push(limit);
    }

    fn credits(&mut self, org: usize, amount: i64, minutes: Option<i64>) {
        let expires_at = minutes.map(|it| self.now + TimeDelta::minutes(it));
        let counters = Counters::new(0, 0);
        let grant = Grant { id: Id::new(), priority: 0, expires_at, amount, revoked: 0, counters };
        self.database.grants.push((self.orgs[org], grant));
        self.bump(Some(self.orgs[org]));
        self.reference.credits.push(Credits { org, amount, expires_at });
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Commit { instance, ends, calls } => self.commit(instance, ends, calls)?,
            Step::Crash(instance) => self.instances[instance] = Books::default(),
            Step::Reap(instance) => {
                let now = self.now;
                let due = self.calls.iter().enumerate().filter(|(_, it)| it.0.expires_at < now);
                let mut due: Vec<usize> = due.map(|(n, _)| n).collect();
                due.reverse();
                let ends = due.into_iter().map(|n| (n, How::GiveUp)).collect();
                self.commit(instance, ends, Vec::new())?;
            }
            Step::Pass(minutes) => self.now += TimeDelta::minutes(minutes),
            Step::Amount(limit, amount) => {
                let number = limit % self.database.budgets.len();
                let budget = &mut self.database.budgets[number];
                (budget.amount, budget.version) = (amount, budget.version + 1);
                let (org, unit) = (budget.org, budget.unit);
                if unit == Unit::Unknowns {
                    self.bump(org);
                }
                self.reference.limits[number].amount = amount;
            }
            Step::Limit(limit) => self.limit(limit),
            Step::Credits(org, amount, minutes) => self.credits(org, amount, minutes),
        }
        self.compare()
    }

    /// As the committer does: on what the instance remembers; what that cannot decide, on what is
    /// read anew.
    fn commit(
        &mut self,
        instance: usize,
        ends: Vec<(usize, How)>,
        mut calls: Vec<Wanted>,
    ) -> Result<(), TestCaseError> {
        let mut ending = Vec::new();
        for (which, how) in ends {
            if !self.calls.is_empty() {
                let which = which % self.calls.len();
                let (hold, number, _) = self.calls.swap_remove(which);
                ending.push((settlement(&hold, how), number, how));
            }
        }
        let mut books = std::mem::take(&mut self.instances[instance]);
        for (settlement, ..) in &ending {
            books.forget_older_than(&settlement.call);
        }
        for fresh in [false, true, true] {
            if fresh {
                self.database.read(&mut books, &self.orgs, self.now);
            }
            let mut batch = Batch::new(&mut books, self.terms, self.now);
            for (settlement, ..) in &ending {
                prop_assert!(batch.settle(settlement));
            }
            let (mut decided, mut left) = (Vec::new(), Vec::new());
            for wanted in &calls {
                match batch.reserve(Id::new(), &self.call(wanted), None) {
                    Some(Err(_)) if fresh => decided.push((*wanted, None)),
                    Some(Ok(hold)) => decided.push((*wanted, Some(hold))),
                    _ => left.push(*wanted),
                }
            }
            let rows = batch.rows();
            let written = self.database.book(&rows);
            batch.conclude(written.as_ref().ok());
            if written.is_err() {
                prop_assert!(!fresh, "what was just read does not differ");
                continue;
            }
            for (_, number, how) in ending.drain(..) {
                self.end(number, how);
            }
            for (wanted, hold) in decided {
                self.decided(instance, wanted, hold)?;
            }
            calls = left;
            if calls.is_empty() {
                break;
            }
        }
        self.instances[instance] = books;
        prop_assert!(calls.is_empty() && ending.is_empty(), "everybody is answered");
        Ok(())
    }

    fn end(&mut self, number: usize, how: How) {
        match how {
            How::Settle(tokens, cost, credits) => {
                self.reference.settle(number, tokens, cost, credits);
            }
            How::Release => self.reference.release(number),
            How::GiveUp => self.reference.give_up(number),
        }
    }

    fn decided(
        &mut self,
        instance: usize,
        wanted: Wanted,
        hold: Option<Hold>,
    ) -> Result<(), TestCaseError> {
        let (number, expected) = self.reference.reserve(wanted, self.now);
        let verdict = match &hold {
            None => Verdict::Refused,
            Some(hold) if hold.paid_by == Payer::Plan => Verdict::Plan,
            Some(hold) => Verdict::Credits(hold.credits),
        };
        prop_assert_eq!(verdict, expected);
        self.calls.extend(hold.map(|hold| (hold, number, instance)));
        Ok(())
    }

    fn call(&self, wanted: &Wanted) -> Call {
        Call {
            org: self.orgs[wanted.org],
            user: self.users[wanted.user],
            api_key: None,
            project: None,
            operation: "chat",
            provider: String::new(),
            model: String::new(),
            price: price(wanted.credits),
            max_tokens: wanted.tokens,
            max_cost: NanoUsd(wanted.cost),
            request_id: None,
        }
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        for (n, budget) in self.database.budgets.iter().enumerate() {
            let zone = budget.org.map_or(Tz::UTC, |org| {
                ZONES[self.orgs.iter().position(|it| *it == org).unwrap_or_default()]
            });
            let current = budget.shown == budget.period.start(self.now, zone);
            let used = if current { budget.counters.used() } else { 0 };
            prop_assert_eq!(used, self.reference.used(n, self.now), "limit {}", n);
        }
        for (n, (_, grant)) in self.database.grants.iter().enumerate() {
            prop_assert_eq!(grant.counters.used(), self.reference.drawn(n), "grant {}", n);
        }
        prop_assert_eq!(self.database.holds.len(), self.calls.len());
        Ok(())
    }
}

fn price(credits: i64) -> Price {
    let free = NanoUsd(0);
    Price {
        id: Id::from(Uuid::nil()),
        effective_from: DateTime::UNIX_EPOCH,
        free: true,
        input_per_million: free,
        cached_input_per_million: free,
        cache_write_per_million: free,
        long_cache_write_per_million: free,
        output_per_million: free,
        per_image: free,
        per_second: free,
        per_request: free,
        batch_percent: None,
        credits,
        credits_by_tier: usage::ByTier::new(),
        in_batch: false,
    }
}

fn settlement(hold: &Hold, how: How) -> Settlement {
    let used = match how {
        How::Settle(tokens, cost, credits) => Some(Used {
            outcome: Outcome::Succeeded,
            quantities: Quantities { input_tokens: tokens, ..Quantities::default() },
            estimated: false,
            cost: NanoUsd(cost),
            credits,
        }),
        How::Release => None,
        How::GiveUp => Some(Used::unknown(hold.call.max_cost)),
    };
    Settlement { call: hold.into(), used, if_expired_at: None }
}

fn cases() -> u32 {
    std::env::var("QUOTAS_MODEL_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(10_000)
}

proptest! {
    #![proptest_config(Config { cases: cases(), ..Config::default() })]

    #[test]
    fn every_history_agrees_with_the_reference(steps in vec(step(), 1..40)) {
        let mut world = World::new();
        for step in steps {
            world.take(step)?;
        }
    }
}
