use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::{Account, Entry};

/// A bucket of credits with an expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Identifies it.
    pub id: Id<Grant>,
    /// Who may spend it.
    pub org: Id<Org>,
    /// Lower is spent first.
    pub priority: i16,
    /// When what is left lapses.
    pub expires_at: Option<DateTime<Utc>>,
    /// How much was given.
    pub amount: i64,
    /// How much calls that have ended drew.
    pub spent: i64,
    /// How much calls in flight reserve.
    pub held: i64,
    /// How much was taken back.
    pub revoked: i64,
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
}

impl GrantSource {
    fn priority(self) -> i16 {
        match self {
            Self::Promo => 10,
            Self::Plan => 20,
            Self::Admin => 30,
            Self::Pack => 40,
        }
    }
}

impl Grant {
    /// What can still be reserved.
    pub fn room(&self) -> i64 {
        (self.amount - self.spent - self.held - self.revoked).max(0)
    }

    /// Whether it can be spent at `now`.
    pub(crate) fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.room() > 0 && self.expires_at.is_none_or(|end| now < end)
    }

    /// Locks the live grants of `orgs`; answers them in the order in which they are spent.
    ///
    /// They are locked by id, after any budgets, as everybody does.
    pub(crate) async fn lock_live(
        db: &mut PgConnection,
        orgs: &[Uuid],
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        let mut grants = sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", priority, expires_at, amount, spent, held,
                      revoked
               from grants
               where org_id = any($1)
                 and spent + held + revoked < amount
                 and (expires_at is null or expires_at > $2)
               order by id
               for update"#,
            orgs,
            now,
        )
        .fetch_all(db)
        .await?;
        let never = DateTime::<Utc>::MAX_UTC;
        grants.sort_by_key(|it| (it.priority, it.expires_at.unwrap_or(never), it.id));
        Ok(grants)
    }

    /// Locks the grants with these ids, in the one order that everybody uses.
    pub(crate) async fn lock(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", priority, expires_at, amount, spent, held,
                      revoked
               from grants
               where id = any($1)
               order by id
               for update"#,
            ids,
        )
        .fetch_all(db)
        .await
    }

    /// Writes the counters of all of `grants`.
    pub(crate) async fn save_counters(db: &mut PgConnection, grants: &[&Self]) -> sqlx::Result<()> {
        let ids: Vec<Uuid> = grants.iter().map(|it| it.id.uuid()).collect();
        let spent: Vec<i64> = grants.iter().map(|it| it.spent).collect();
        let held: Vec<i64> = grants.iter().map(|it| it.held).collect();
        sqlx::query!(
            "update grants g
             set spent = n.spent, held = n.held
             from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as n (id, spent, held)
             where g.id = n.id",
            &ids,
            &spent,
            &held,
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
        Entry::insert_all(db, &[entry], now).await?;
        Ok(true)
    }
}
