use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use uuid::Uuid;

use crate::{
    Call, Grant, Hold, Refusal,
    book::{BooksVersion, BudgetChange, GrantChange, HoldEnd, NewEntry, NewHold, NewUsage, Rows},
    decision::{Books, Decision},
    picture::Picture,
    settle::{Effect, Settlement},
    terms::Terms,
};

/// Settlements and reservations that share one commit.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    books: &'a mut Books,
    terms: Terms,
    now: DateTime<Utc>,
    /// The orgs whose pictures were used.
    used: BTreeSet<Id<Org>>,
    platform_used: bool,
    /// Whether somebody reserves there, or only what has been reserved is settled.
    decided: BTreeSet<Id<Org>>,
    /// Settlements of what no picture shows.
    loose_budgets: BTreeMap<(bool, Uuid), BudgetChange>,
    loose_grants: BTreeMap<Uuid, GrantChange>,
    ended: BTreeMap<Uuid, HoldEnd>,
    entries: Vec<NewEntry>,
    usage: Vec<NewUsage>,
    holds: Vec<NewHold>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(books: &'a mut Books, terms: Terms, now: DateTime<Utc>) -> Self {
        Self {
            books,
            terms,
            now,
            used: BTreeSet::new(),
            platform_used: false,
            decided: BTreeSet::new(),
            loose_budgets: BTreeMap::new(),
            loose_grants: BTreeMap::new(),
            ended: BTreeMap::new(),
            entries: Vec::new(),
            usage: Vec::new(),
            holds: Vec::new(),
        }
    }

    /// Ends a call. All settlements of a batch come before its reservations. `false`: it is in this
    /// batch already.
    pub(crate) fn settle(&mut self, settlement: &Settlement) -> bool {
        let id = settlement.call.id.uuid();
        let if_expired_at = settlement.if_expired_at;
        if self.ended.contains_key(&id) {
            return false;
        }
        self.ended.insert(id, HoldEnd { id, if_expired_at });
        let effects = settlement.effects();
        for effect in &effects {
            self.apply(settlement.call.org, effect);
        }
        self.entries.extend(settlement.entries(&effects, self.now));
        self.usage.extend(settlement.usage(&effects, self.now));
        true
    }

    fn apply(&mut self, org: Id<Org>, effect: &Effect) {
        match *effect {
            Effect::Budget { budget, platform, period, reserved, spent, overrun } => {
                if reserved == 0 && spent == 0 {
                    return;
                }
                let shown = self.picture(org, platform).and_then(|it| it.budget(budget.into()));
                if let Some(shown) = shown {
                    if shown.shown == period {
                        shown.counters.settle(reserved, spent, overrun);
                    }
                    // Else its period is over and decides nothing any more.
                    return;
                }
                let fresh = || BudgetChange::loose(budget, period);
                let change = self.loose_budgets.entry((platform, budget)).or_insert_with(fresh);
                if period > change.began {
                    *change = fresh();
                }
                if period == change.began {
                    change.held -= reserved;
                    change.spent = change.spent.saturating_add(spent);
                    change.overrun = change.overrun.saturating_add(overrun);
                }
            }
            Effect::Grant { grant, reserved, spent } => {
                let shown = self.picture(org, false).and_then(|it| it.grant(grant.into()));
                if let Some(shown) = shown {
                    return shown.counters.settle(reserved, spent, 0);
                }
                let fresh = || GrantChange::loose(grant);
                let change = self.loose_grants.entry(grant).or_insert_with(fresh);
                change.held -= reserved;
                change.spent += spent;
            }
        }
    }

    fn picture(&mut self, org: Id<Org>, platform: bool) -> Option<&mut Picture> {
        if platform {
            self.platform_used = true;
            return self.books.platform.as_mut();
        }
        self.used.insert(org);
        self.books.orgs.get_mut(&org)
    }

    /// Reserves all that the call needs, or nothing. `None`: there is no picture to decide it on.
    pub(crate) fn reserve(
        &mut self,
        id: Id<Hold>,
        call: &Call,
        until: Option<DateTime<Utc>>,
    ) -> Option<Result<Hold, Refusal>> {
        let platform = self.books.platform.as_mut()?;
        let org = self.books.orgs.get_mut(&call.org)?;
        self.platform_used = true;
        self.used.insert(call.org);
        self.decided.insert(call.org);
        let credit_covers = self.terms.credit_covers;
        let decision = Decision { platform, org, credit_covers, now: self.now };
        Some(decision.reserve(call).map(|reservation| {
            let hold = Hold {
                id,
                call: call.clone(),
                paid_by: reservation.paid_by,
                credits: reservation.credits,
                created_at: reservation.at,
                expires_at: until.unwrap_or(self.now + self.terms.life),
                standing: reservation.standing,
                draws: reservation.draws,
            };
            self.holds.push(hold.row(self.terms.instance));
            hold
        }))
    }

    /// The batch is written, and these rows show these counters now; or it is not. Then the pictures
    /// are as before.
    pub(crate) fn conclude(self, written: Option<&HashMap<Uuid, (i64, i64)>>) {
        let orgs = self.used.iter();
        for org in orgs {
            if let Some(picture) = self.books.orgs.get_mut(org) {
                conclude(picture, written);
            }
        }
        if let Some(platform) = self.books.platform.as_mut() {
            conclude(platform, written);
        }
    }

    /// All that it writes.
    pub(crate) fn rows(&mut self) -> Rows {
        let mut rows = Rows {
            ended: std::mem::take(&mut self.ended).into_values().collect(),
            holds: std::mem::take(&mut self.holds),
            entries: std::mem::take(&mut self.entries),
            usage: std::mem::take(&mut self.usage),
            grants: std::mem::take(&mut self.loose_grants).into_values().collect(),
            ..Rows::default()
        };
        for ((platform, _), change) in std::mem::take(&mut self.loose_budgets) {
            if platform { rows.platform.push(change) } else { rows.budgets.push(change) }
        }
        for org in &self.used {
            let Some(picture) = self.books.orgs.get(org) else { continue };
            rows.budgets.extend(picture.budgets.iter().filter_map(|it| it.change(self.now)));
            rows.grants.extend(picture.grants.iter().filter_map(Grant::change));
            if self.decided.contains(org) {
                rows.versions.push(BooksVersion { id: org.uuid(), version: picture.version });
            }
        }
        if let Some(platform) = self.books.platform.as_ref().filter(|_| self.platform_used) {
            rows.platform.extend(platform.budgets.iter().filter_map(|it| it.change(self.now)));
            if !self.decided.is_empty() {
                rows.versions.push(BooksVersion { id: Uuid::nil(), version: platform.version });
            }
        }
        // Everybody locks rows in this order.
        rows.budgets.sort_unstable_by_key(|it| it.id);
        rows.platform.sort_unstable_by_key(|it| it.id);
        rows.grants.sort_unstable_by_key(|it| it.id);
        rows
    }
}

fn conclude(picture: &mut Picture, written: Option<&HashMap<Uuid, (i64, i64)>>) {
    match written {
        Some(rows) => picture.written(rows),
        None => picture.discard(),
    }
}
