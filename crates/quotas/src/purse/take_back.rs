use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};

use super::Purse;
use crate::ledger::Account;

/// How much of a payment was returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// In all, up to now. In the smallest unit of the currency, like `paid`.
    pub returned: i64,
    /// What was paid.
    pub paid: i64,
}

impl Share {
    /// What belongs to the returned part of `credits`: rounded down, in favour of whoever bought them,
    /// and all of them when all was returned.
    pub fn of(self, credits: i64) -> i64 {
        let returned = self.returned.clamp(0, self.paid.max(0));
        if returned == 0 {
            return 0;
        }
        let part = i128::from(credits) * i128::from(returned) / i128::from(self.paid);
        i64::try_from(part).unwrap_or(credits)
    }
}

/// Takes back the returned share of what `org` was given for each of `given_for`, or gives back what
/// was taken too much. It is told in all, so telling it again changes nothing.
///
/// What was spent already is owed: other grants pay for it as far as they can, and what nobody can
/// pay makes the balance negative until there are credits again. Answers how many more credits are
/// taken back than before.
pub async fn take_back(
    db: &mut PgConnection,
    org: Id<Org>,
    given_for: &[String],
    share: Share,
    now: DateTime<Utc>,
) -> sqlx::Result<i64> {
    let mut purse = Purse::lock(&mut *db, org, now).await?;
    let change = given_for.iter().map(|it| purse.take_back(it, share)).sum();
    purse.pay_debts();
    purse.save(db).await?;
    Ok(change)
}

/// What `org` was given credits for, of all that begins with `prefix`.
pub async fn given_for(
    db: impl PgExecutor<'_>,
    org: Id<Org>,
    prefix: &str,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select external_id from grants
         where org_id = $1 and starts_with(external_id, $2)
         order by id",
        org as _,
        prefix,
    )
    .fetch_all(db)
    .await
}

impl Purse {
    pub(super) fn take_back(&mut self, given_for: &str, share: Share) -> i64 {
        let Some(index) = self.grants.iter().position(|it| it.given_for == given_for) else {
            return 0;
        };
        let grant = &self.grants[index];
        let change = share.of(grant.amount) - grant.clawed_back;
        if change > 0 {
            // What lapsed unspent is gone already and is not taken a second time.
            let gone = grant.revoked - grant.clawed_back + self.received(grant.id);
            let lapsed = change.min(gone);
            self.move_credits(index, Account::Expired, Account::ClawedBack, lapsed);
            self.move_credits(index, Account::Available, Account::ClawedBack, change - lapsed);
        } else {
            self.move_credits(index, Account::ClawedBack, Account::Available, -change);
            self.grants[index].lapsed &= change == 0;
            self.return_covers(index);
        }
        change
    }
}
