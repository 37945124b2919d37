use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::PgConnection;
use uuid::Uuid;

/// Where money can be, seen from one org's business with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MoneyAccount {
    /// With the customer.
    Customer,
    /// With the payment provider, for us.
    Stripe,
    /// Withdrawn by a dispute that is not decided.
    Disputed,
    /// Kept by the payment provider.
    Fees,
}

/// A movement of money, both halves of a double entry in one row.
#[derive(Clone, Debug)]
pub struct MoneyEntry<'a> {
    /// Whose business it is.
    pub org: Id<Org>,
    /// Where it was.
    pub from: MoneyAccount,
    /// Where it is.
    pub to: MoneyAccount,
    /// How much, in the smallest unit of the currency.
    pub amount: i64,
    /// ISO 4217, in small letters. Currencies are never added up.
    pub currency: &'a str,
    /// Names the cause; the same cause has no second effect.
    pub external_id: String,
}

impl MoneyEntry<'_> {
    /// Books it. `false`: there is nothing to book, or its cause had its effect before.
    pub async fn book(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<bool> {
        if self.amount == 0 {
            return Ok(false);
        }
        let booked = sqlx::query!(
            "insert into ledger_entries
                 (id, org_id, unit, from_account, to_account, amount, external_id, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict on constraint ledger_effect_happens_once do nothing",
            Uuid::now_v7(),
            self.org as _,
            self.currency,
            self.from as _,
            self.to as _,
            self.amount,
            self.external_id,
            now,
        )
        .execute(db)
        .await?
        .rows_affected();
        Ok(booked == 1)
    }

    /// Books the opposite of what was booked for `cause`, if anything was.
    pub async fn undo(
        db: &mut PgConnection,
        cause: &str,
        external_id: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let booked = sqlx::query!(
            "insert into ledger_entries
                 (id, org_id, unit, from_account, to_account, amount, external_id, created_at)
             select $1, org_id, unit, to_account, from_account, amount, $2, $3
             from ledger_entries
             where external_id = $4
             on conflict on constraint ledger_effect_happens_once do nothing",
            Uuid::now_v7(),
            external_id,
            now,
            cause,
        )
        .execute(db)
        .await?
        .rows_affected();
        Ok(booked == 1)
    }
}
