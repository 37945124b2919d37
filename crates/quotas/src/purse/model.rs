//! Random histories of an org's grants against a plain account of what was done to them.
//! `PROPTEST_CASES` says how many; a failure prints its seed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use proptest::{collection::vec, prelude::*};

use super::{Bucket, Purse, Share};
use crate::ledger::Account;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many credits, of a priority, for so many hours.
    Give(i64, i16, Option<i64>),
    /// What calls reserve and spend at once.
    Spend(i64),
    /// What calls reserve.
    Hold(i64),
    /// Calls in flight end, having spent this percentage.
    Settle(i64),
    /// So much of the hundred that was paid for a grant is returned, in all.
    Return(usize, i64),
    /// Hours, after which the schedule runs.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..200_i64, 0..3_i16, proptest::option::of(1..100_i64))
            .prop_map(|(amount, priority, hours)| Step::Give(amount, priority, hours)),
        (1..150_i64).prop_map(Step::Spend),
        (1..150_i64).prop_map(Step::Hold),
        (0..=100_i64).prop_map(Step::Settle),
        (0..8_usize, 0..=100_i64).prop_map(|(grant, returned)| Step::Return(grant, returned)),
        (1..50_i64).prop_map(Step::Pass),
    ]
}

struct World {
    purse: Purse,
    /// What was returned of each grant's hundred.
    returned: Vec<i64>,
}

impl World {
    fn new() -> Self {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let purse = Purse { org: Id::new(), now, grants: vec![], covers: vec![], moves: vec![] };
        Self { purse, returned: vec![] }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Give(amount, priority, hours) => {
                let id = Id::new();
                self.purse.grants.push(Bucket {
                    id,
                    given_for: id.to_string(),
                    billed: priority == 2,
                    priority,
                    expires_at: hours.map(|it| self.purse.now + TimeDelta::hours(it)),
                    amount,
                    spent: 0,
                    held: 0,
                    revoked: 0,
                    clawed_back: 0,
                    lapsed: false,
                    movements: 0,
                });
                self.returned.push(0);
                self.purse.pay_debts();
            }
            Step::Spend(credits) => self.draw(credits, |grant, part| grant.spent += part),
            Step::Hold(credits) => self.draw(credits, |grant, part| grant.held += part),
            Step::Settle(percent) => {
                for grant in &mut self.purse.grants {
                    grant.spent += grant.held * percent / 100;
                    grant.held = 0;
                }
                self.purse.pay_debts();
            }
            Step::Return(grant, returned) => {
                if let Some(known) = self.returned.get_mut(grant) {
                    *known = returned;
                    self.give_back(grant, returned);
                }
            }
            Step::Pass(hours) => {
                self.purse.now += TimeDelta::hours(hours);
                self.purse.expire();
                self.purse.pay_debts();
            }
        }
    }

    fn draw(&mut self, credits: i64, add: fn(&mut Bucket, i64)) {
        let mut missing = credits;
        let now = self.purse.now;
        for grant in self.purse.grants.iter_mut().filter(|it| it.is_live(now)) {
            let part = grant.left().min(missing);
            add(grant, part);
            missing -= part;
        }
    }

    fn give_back(&mut self, grant: usize, returned: i64) {
        let given_for = self.purse.grants[grant].given_for.clone();
        self.purse.take_back(&given_for, Share { returned, paid: 100 });
        self.purse.pay_debts();
    }

    /// What the entries say, account by account.
    fn booked(&self, grant: &Bucket) -> BTreeMap<String, i64> {
        let mut accounts = BTreeMap::from([("Available".to_owned(), grant.amount - grant.spent)]);
        for it in self.purse.moves.iter().filter(|it| it.grant == grant.id) {
            *accounts.entry(format!("{:?}", it.from)).or_default() -= it.credits;
            *accounts.entry(format!("{:?}", it.to)).or_default() += it.credits;
        }
        accounts
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let purse = &self.purse;
        let mut in_transit = 0;
        for (grant, returned) in purse.grants.iter().zip(&self.returned) {
            let booked = self.booked(grant);
            let of = |account: Account| booked.get(&format!("{account:?}")).copied().unwrap_or(0);
            in_transit += of(Account::Debt);
            prop_assert_eq!(grant.balance(), of(Account::Available));
            prop_assert_eq!(grant.clawed_back, of(Account::ClawedBack));
            prop_assert_eq!(grant.clawed_back, grant.amount * returned / 100, "in whatever order");
            prop_assert_eq!(purse.received(grant.id), -of(Account::Debt));
            prop_assert!((0..=grant.amount).contains(&of(Account::Expired)), "{:?}", booked);
            prop_assert!(grant.spent + grant.held <= grant.amount && grant.revoked >= 0);
            prop_assert!(!grant.lapsed || (grant.held == 0 && grant.left() == 0));
            let numbers = purse.moves.iter().filter(|it| it.grant == grant.id).map(|it| it.number);
            prop_assert!(numbers.eq(1..=grant.movements), "each entry has a name of its own");
        }
        prop_assert_eq!(in_transit, 0, "what one pays another gets");
        let owes = purse.grants.iter().any(|it| it.owed() > 0);
        let can_pay =
            purse.grants.iter().any(|it| !it.billed && it.is_live(purse.now) && it.left() > 0);
        prop_assert!(!(owes && can_pay), "whoever can pays what is owed");
        let mut lenders = purse.covers.iter().filter(|it| it.amount > 0).map(|it| it.lender);
        let is_billed = |id| purse.grants.iter().any(|it| it.id == id && it.billed);
        prop_assert!(!lenders.any(is_billed), "nobody is billed for what was taken back");
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_is_returned_and_lapses_every_credit_is_accounted_for(steps in vec(step(), 1..40)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check()?;
        }
        for grant in 0..world.returned.len() {
            world.returned[grant] = 0;
            world.give_back(grant, 0);
        }
        world.check()?;
        prop_assert!(world.purse.covers.iter().all(|it| it.amount == 0), "nobody pays for others");
    }

    #[test]
    fn a_share_is_never_more_than_its_part_and_ends_with_all_of_it(
        credits in 0..i64::MAX, paid in 1..i64::MAX, first in 0..i64::MAX, more in 0..i64::MAX,
    ) {
        let of = |returned| Share { returned, paid }.of(credits);
        let second = first.saturating_add(more);
        prop_assert!(of(first) <= of(second) && of(second) <= credits);
        prop_assert_eq!(of(paid), credits);
        prop_assert_eq!((of(0), of(-1)), (0, 0));
        let part = i128::from(of(first)) * i128::from(paid);
        prop_assert!(part <= i128::from(credits) * i128::from(first.min(paid)));
    }
}
