use kernel::Id;

use super::Purse;
use crate::{Grant, ledger::Account};

/// What one grant has paid for another, whose credits were spent and then taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(super) lender: Id<Grant>,
    pub(super) debtor: Id<Grant>,
    pub(super) amount: i64,
}

impl Purse {
    /// Whatever can be spent pays first for grants of which more was taken back than was left.
    pub(crate) fn pay_debts(&mut self) {
        let mut lenders: Vec<usize> = (0..self.grants.len()).collect();
        lenders.sort_by_key(|index| {
            let grant = &self.grants[*index];
            (grant.priority, grant.expires_at.is_none(), grant.expires_at, grant.id)
        });
        for debtor in 0..self.grants.len() {
            for lender in &lenders {
                let (owed, grant) = (self.grants[debtor].owed(), &self.grants[*lender]);
                let pays = !grant.billed && grant.is_live(self.now);
                let room = if pays { grant.left() } else { 0 };
                self.lend(*lender, debtor, owed.min(room));
            }
        }
    }

    fn lend(&mut self, lender: usize, debtor: usize, credits: i64) {
        if credits == 0 {
            return;
        }
        self.move_credits(lender, Account::Available, Account::Debt, credits);
        self.move_credits(debtor, Account::Debt, Account::Available, credits);
        let (lender, debtor) = (self.grants[lender].id, self.grants[debtor].id);
        let known = self.covers.iter_mut().find(|it| it.lender == lender && it.debtor == debtor);
        match known {
            Some(cover) => cover.amount += credits,
            None => self.covers.push(Cover { lender, debtor, amount: credits }),
        }
    }

    /// Returns what others paid for `debtor`, as far as its own credits are there again.
    pub(super) fn return_covers(&mut self, debtor: usize) {
        let id = self.grants[debtor].id;
        for index in 0..self.covers.len() {
            let cover = &self.covers[index];
            let lender = self.grants.iter().position(|it| it.id == cover.lender);
            let (true, Some(lender)) = (cover.debtor == id, lender) else { continue };
            let credits = cover.amount.min(self.grants[debtor].left());
            self.move_credits(debtor, Account::Available, Account::Debt, credits);
            self.move_credits(lender, Account::Debt, Account::Available, credits);
            self.covers[index].amount -= credits;
            self.grants[lender].lapsed &= credits == 0;
        }
    }

    /// What others paid for the grant, less what it paid for others.
    pub(super) fn received(&self, grant: Id<Grant>) -> i64 {
        let of = |cover: &Cover| match grant {
            it if it == cover.debtor => cover.amount,
            it if it == cover.lender => -cover.amount,
            _ => 0,
        };
        self.covers.iter().map(of).sum()
    }
}
