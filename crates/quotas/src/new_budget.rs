use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Budget, Kind, Period, Scope, Unit, picture::zone_of};

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
    /// The one operation it counts, or all.
    pub operation: Option<String>,
    /// Whether it only alerts.
    pub soft: bool,
    /// How much may be used.
    pub amount: i64,
}

impl NewBudget {
    /// What all of an org, or of the platform, may use.
    pub fn limit(org: Option<Id<Org>>, period: Period, unit: Unit, amount: i64) -> Self {
        let scope = if org.is_some() { Scope::Org } else { Scope::Global };
        let (kind, soft) = (Kind::Limit, false);
        Self { scope, org, subject: None, kind, period, unit, operation: None, soft, amount }
    }

    /// Sets the budget unless there is one like it, whatever its amount.
    pub(crate) async fn set_if_absent(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let there = sqlx::query_scalar!(
            r#"select exists (
                   select from budgets
                   where org_id is not distinct from $1 and scope = $2 and period = $3 and unit = $4
                     and kind = $5 and subject_id is null and operation is null) as "there!""#,
            self.org as _,
            self.scope as _,
            self.period as _,
            self.unit as _,
            self.kind as _,
        )
        .fetch_one(&mut *db)
        .await?;
        if !there {
            self.set(db, now).await?;
        }
        Ok(())
    }

    /// Sets the budget, or changes the amount of the one that is there. What was used stays used.
    pub async fn set(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<Id<Budget>> {
        let zone = match self.org {
            Some(org) => zone_of(&mut *db, org).await?,
            None => Tz::UTC,
        };
        sqlx::query_scalar!(
            r#"insert into budgets (id, scope, org_id, subject_id, kind, period, unit, operation, soft,
                                    amount, highest_amount, period_start, created_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12)
               on conflict on constraint budget_exists do update
               set amount = excluded.amount, soft = excluded.soft,
                   highest_amount = greatest(budgets.highest_amount, excluded.amount + budgets.raised_by)
               returning id as "id: _""#,
            Id::<Budget>::new() as _,
            self.scope as _,
            self.org as _,
            self.subject,
            self.kind as _,
            self.period as _,
            self.unit as _,
            self.operation,
            self.soft,
            self.amount,
            self.period.start(now, zone),
            now,
        )
        .fetch_one(db)
        .await
    }
}
