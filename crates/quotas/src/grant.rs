use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::{
    book::GrantChange,
    counters::Counters,
    ledger::{Account, Entry},
    purse::Purse,
    webhook_events::CreditsGranted,
};

/// A bucket of credits with an expiry.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Identifies it.
    pub(crate) id: Id<Grant>,
    /// Lower is spent first.
    pub(crate) priority: i16,
    /// When what is left lapses.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// How much was given.
    pub(crate) amount: i64,
    /// How much is gone without having been spent.
    pub(crate) revoked: i64,
    pub(crate) counters: Counters,
}

/// Where credits come from. Decides which are spent first: those that lapse soonest and cost least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum GrantSource {
    /// Given by operators.
    Admin,
    /// Given by promotions.
    Promo,
    /// Part of the plan, monthly.
    Plan,
    /// Bought.
    Pack,
    /// Billed afterwards, if used.
    Overage,
}

impl GrantSource {
    fn priority(self) -> i16 {
        match self {
            Self::Promo => 10,
            Self::Plan => 20,
            Self::Admin => 30,
            Self::Pack => 40,
            Self::Overage => 50,
        }
    }
}

impl Grant {
    /// What can still be reserved at `now`.
    pub(crate) fn room(&self, now: DateTime<Utc>) -> i64 {
        let live = self.expires_at.is_none_or(|end| now < end);
        let room = self.amount.saturating_sub(self.revoked).saturating_sub(self.counters.used());
        if live { room.max(0) } else { 0 }
    }

    /// Reserves what there is of `wanted`, and answers how much that is. The answer is relied upon.
    pub(crate) fn draw(&mut self, wanted: i64, now: DateTime<Utc>) -> i64 {
        let amount = wanted.min(self.room(now));
        if amount == wanted {
            self.counters.fits(amount, self.amount - self.revoked);
        } else {
            self.counters.fix();
        }
        self.counters.reserve(amount);
        amount
    }

    /// What the batch does to the row.
    pub(crate) fn change(&self) -> Option<GrantChange> {
        let batch = &self.counters.batch;
        batch.changes().then(|| GrantChange {
            id: self.id.uuid(),
            spent: batch.spent,
            held: batch.held,
            revoked: batch.verified.then_some(self.revoked),
            least: batch.least,
            most: batch.most,
        })
    }

    /// Locks `org`'s grants, in the one order that everybody uses: by id, after any budgets.
    pub(crate) async fn lock(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
        sqlx::query!(
            "select from grants where org_id = $1 order by id for no key update",
            org as _
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Credits to be given.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// To whom.
    pub org: Id<Org>,
    /// Where they come from.
    pub source: GrantSource,
    /// How many.
    pub amount: i64,
    /// When what is left lapses.
    pub expires_at: Option<DateTime<Utc>>,
    /// What they are given for, such as a payment: it is given for once.
    pub external_id: String,
}

impl NewGrant {
    /// Gives the credits and books them. `false`: they were given before, nothing changed.
    pub async fn give(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<bool> {
        let id = Id::<Grant>::new();
        let given = sqlx::query!(
            "insert into grants (id, org_id, source, priority, amount, expires_at, external_id, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict on constraint grant_given_once do nothing",
            id as _,
            self.org as _,
            self.source as _,
            self.source.priority(),
            self.amount,
            self.expires_at,
            self.external_id,
            now,
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if given == 0 {
            return Ok(false);
        }
        let entry = Entry {
            org: self.org,
            from: Account::Issued,
            to: Account::Available,
            credits: self.amount,
            grant: id,
            external_id: format!("grant:{}", self.external_id),
        };
        Entry::insert_all(&mut *db, &[entry], now).await?;
        self.pay_debts(db, now).await?;
        self.tell(db, now).await?;
        Ok(true)
    }

    async fn tell(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        if self.source == GrantSource::Overage {
            return Ok(()); // These are billed, not given.
        }
        let Self { amount: credits, source, expires_at, .. } = *self;
        let event = CreditsGranted { credits, source, expires_at };
        webhooks::emit(db, self.org, &event, now).await
    }

    /// Who owes credits pays with the new ones first.
    async fn pay_debts(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        let owes = sqlx::query_scalar!(
            r#"select exists (select from grants
                              where org_id = $1 and clawed_back > 0 and spent + revoked > amount) as "owes!""#,
            self.org as _,
        )
        .fetch_one(&mut *db)
        .await?;
        if owes {
            let mut purse = Purse::lock(&mut *db, self.org, now).await?;
            purse.pay_debts();
            purse.save(db).await?;
        }
        Ok(())
    }
}
