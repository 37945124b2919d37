//! All grants of an org at once, for what moves credits other than calls do: they lapse, are taken
//! back because their money was returned, and pay for one another.
//!
//! The rules work on rows in memory that stay locked until they are saved.

mod covers;
mod expiry;
#[cfg(test)]
mod model;
mod overage;
mod rows;
mod take_back;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};

use crate::{Grant, ledger::Account};

pub(crate) use covers::Cover;
pub(crate) use expiry::ExpireGrants;
pub use overage::{Overage, OverageUse};
pub use take_back::{Share, given_for, take_back};

/// A grant as its row shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    id: Id<Grant>,
    given_for: String,
    /// Whether it is billed when it is used. Such credits pay for no others.
    billed: bool,
    priority: i16,
    expires_at: Option<DateTime<Utc>>,
    amount: i64,
    spent: i64,
    held: i64,
    /// What left it without being spent, less what came back.
    revoked: i64,
    clawed_back: i64,
    lapsed: bool,
    /// How often credits moved other than by being spent.
    movements: i64,
}

/// Credits that go from one account of a grant to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    grant: Id<Grant>,
    number: i64,
    from: Account,
    to: Account,
    credits: i64,
}

/// The locked grants of an org, and what was done to them.
#[derive(Debug)]
pub(crate) struct Purse {
    org: Id<Org>,
    now: DateTime<Utc>,
    /// In the order of their ids, in which they were locked.
    grants: Vec<Bucket>,
    covers: Vec<Cover>,
    moves: Vec<Move>,
}

impl Bucket {
    /// What the ledger says is left. Negative: more was taken back than was unspent.
    fn balance(&self) -> i64 {
        self.amount.saturating_sub(self.spent).saturating_sub(self.revoked)
    }

    fn owed(&self) -> i64 {
        self.balance().saturating_neg().max(0)
    }

    /// What is neither spent nor gone nor in flight.
    fn left(&self) -> i64 {
        self.balance().saturating_sub(self.held).max(0)
    }

    fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl Purse {
    /// Moves credits of the grant at `index`, and changes its row accordingly.
    fn move_credits(&mut self, index: usize, from: Account, to: Account, credits: i64) {
        if credits == 0 {
            return;
        }
        let grant = &mut self.grants[index];
        grant.movements += 1;
        grant.revoked += match (from, to) {
            (Account::Available, _) => credits,
            (_, Account::Available) => -credits,
            _ => 0,
        };
        grant.clawed_back += match (from, to) {
            (_, Account::ClawedBack) => credits,
            (Account::ClawedBack, _) => -credits,
            _ => 0,
        };
        let (grant, number) = (grant.id, grant.movements);
        self.moves.push(Move { grant, number, from, to, credits });
    }
}
