use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Call, Period};

/// An amount that may be used in a period, with what has been used of it so far.
///
/// Limit and counters are one row, so what is locked is what decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Identifies it; budgets are locked in the order of their ids, the platform's last, so that who
    /// waits for one org's row holds up nobody else.
    pub id: Id<Budget>,
    /// Whose use it counts.
    pub scope: Scope,
    /// The org it belongs to; `None` for the platform's own.
    pub org: Option<Id<Org>>,
    /// The project, user or key, if it is about one.
    pub subject: Option<Uuid>,
    /// Whether it stops calls or pays for them.
    pub kind: Kind,
    /// How long it lasts.
    pub period: Period,
    /// What it counts.
    pub unit: Unit,
    /// The one operation it counts, or all.
    pub operation: Option<String>,
    /// How much may be used.
    pub amount: i64,
    /// When the counters' period began.
    pub period_start: DateTime<Utc>,
    /// Used by calls that have ended.
    pub spent: i64,
    /// Reserved by calls in flight.
    pub held: i64,
    /// The highest amount that was in force in this period.
    pub highest_amount: i64,
}

/// Whose use a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Scope {
    /// Everybody's: what the platform as a whole may spend.
    Global,
    /// One org's.
    Org,
    /// One project's.
    Project,
    /// One person's in one org.
    User,
    /// One API key's.
    Key,
}

/// Whether a budget stops calls or pays for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// Nothing passes it, whoever pays.
    Limit,
    /// What the plan pays for; past it a call draws credits.
    Included,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Requests,
    /// Tokens, of prompt and answer.
    Tokens,
    /// Provider cost in nano-USD.
    NanoUsd,
}

impl Budget {
    /// What can still be reserved.
    pub fn room(&self) -> i64 {
        self.amount.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// Starts the counters anew if `now` is in a later period. Calls still in flight keep counting
    /// for the period in which they were reserved.
    pub(crate) fn roll(&mut self, now: DateTime<Utc>) {
        let start = self.period.start(now);
        if start > self.period_start {
            self.period_start = start;
            (self.spent, self.held) = (0, 0);
            self.highest_amount = self.amount;
        }
    }

    /// Whether `call` counts here.
    pub(crate) fn counts(&self, call: &Call) -> bool {
        let whose = match self.scope {
            Scope::Global => true,
            Scope::Org => self.org == Some(call.org),
            Scope::Project => self.org == Some(call.org) && self.subject == call.project,
            Scope::User => self.org == Some(call.org) && self.subject == Some(call.user.uuid()),
            Scope::Key => self.org == Some(call.org) && self.subject == call.api_key.map(Id::uuid),
        };
        whose && self.operation.as_deref().is_none_or(|operation| operation == call.operation)
    }

    /// Locks the platform's budgets and those of `orgs`, in the one order that everybody uses.
    pub(crate) async fn lock_all(db: &mut PgConnection, orgs: &[Uuid]) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", scope as "scope: _", org_id as "org: _",
                      subject_id as subject, kind as "kind: _", period as "period: _",
                      unit as "unit: _", operation, amount, period_start, spent, held,
                      highest_amount
               from budgets
               where org_id is null or org_id = any($1)
               order by org_id is null, id
               for update"#,
            orgs,
        )
        .fetch_all(db)
        .await
    }

    /// Locks the budgets with these ids, in the one order that everybody uses.
    pub(crate) async fn lock(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", scope as "scope: _", org_id as "org: _",
                      subject_id as subject, kind as "kind: _", period as "period: _",
                      unit as "unit: _", operation, amount, period_start, spent, held,
                      highest_amount
               from budgets
               where id = any($1)
               order by org_id is null, id
               for update"#,
            ids,
        )
        .fetch_all(db)
        .await
    }

    /// Writes the counters of all of `budgets`.
    pub(crate) async fn save_counters(
        db: &mut PgConnection,
        budgets: &[&Self],
    ) -> sqlx::Result<()> {
        let ids: Vec<Uuid> = budgets.iter().map(|it| it.id.uuid()).collect();
        let starts: Vec<DateTime<Utc>> = budgets.iter().map(|it| it.period_start).collect();
        let spent: Vec<i64> = budgets.iter().map(|it| it.spent).collect();
        let held: Vec<i64> = budgets.iter().map(|it| it.held).collect();
        let highest: Vec<i64> = budgets.iter().map(|it| it.highest_amount).collect();
        sqlx::query!(
            "update budgets b
             set period_start = n.period_start, spent = n.spent, held = n.held,
                 highest_amount = n.highest_amount
             from unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[])
                 as n (id, period_start, spent, held, highest_amount)
             where b.id = n.id",
            &ids,
            &starts,
            &spent,
            &held,
            &highest,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// A budget to be set.
#[derive(Clone, Debug)]
pub struct NewBudget {
    /// Whose use it counts.
    pub scope: Scope,
    /// The org it belongs to; `None` for the platform's own.
    pub org: Option<Id<Org>>,
    /// The project, user or key, if it is about one.
    pub subject: Option<Uuid>,
    /// Whether it stops calls or pays for them.
    pub kind: Kind,
    /// How long it lasts.
    pub period: Period,
    /// What it counts.
    pub unit: Unit,
    /// How much may be used.
    pub amount: i64,
}

impl NewBudget {
    /// Sets the budget, or changes the amount of the one that is there. What was used stays used.
    pub async fn set(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into budgets (id, scope, org_id, subject_id, kind, period, unit, amount,
                                  highest_amount, period_start)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
             on conflict on constraint budget_exists do update
             set amount = excluded.amount,
                 highest_amount = greatest(budgets.highest_amount, excluded.amount)
             where budgets.amount <> excluded.amount",
            Id::<Budget>::new() as _,
            self.scope as _,
            self.org as _,
            self.subject,
            self.kind as _,
            self.period as _,
            self.unit as _,
            self.amount,
            self.period.start(now),
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
