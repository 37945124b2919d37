use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};

use crate::{Budget, Kind, Period, Scope, Unit};

/// A budget that has been used up to a threshold of which nobody was told yet.
#[derive(Clone, Debug)]
pub struct BudgetAlert {
    /// Which.
    pub budget: Id<Budget>,
    /// Whose; `None`: the platform's.
    pub org: Option<Id<Org>>,
    /// Whose use it counts.
    pub scope: Scope,
    /// Whether it stops calls or pays for them.
    pub kind: Kind,
    /// Whether it only alerts.
    pub soft: bool,
    /// How long it lasts.
    pub period: Period,
    /// What it counts.
    pub unit: Unit,
    /// The one operation it counts, or all.
    pub operation: Option<String>,
    /// How many percent are used up: 50, 80 or 100.
    pub threshold: i16,
    period_start: DateTime<Utc>,
}

impl BudgetAlert {
    /// Those that are due: the highest threshold of each budget that people set, and of what plans
    /// include in a month.
    pub async fn due(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select b.id as "budget: _", b.org_id as "org: _", b.scope as "scope: _", b.kind as "kind: _",
                      b.soft, b.period as "period: _", b.unit as "unit: _", b.operation,
                      reached.threshold as "threshold!", b.period_start
               from budgets b
               cross join lateral (
                   select b.amount + case when b.raised_until > $1 then b.raised_by else 0 end as amount
               ) allowed
               cross join lateral (
                   select max(threshold)::smallint as threshold
                   from (values (50), (80), (100)) as step (threshold)
                   where b.spent >= allowed.amount::numeric * threshold / 100
               ) reached
               where b.spent > 0 and allowed.amount > 0 and b.unit <> 'unknowns'
                 and (b.kind = 'limit' or b.period = 'month')
                 and reached.threshold is not null
                 and not exists (
                     select from budget_alerts a
                     where a.budget_id = b.id and a.period_start = b.period_start
                       and a.threshold >= reached.threshold)"#,
            now,
        )
        .fetch_all(db)
        .await
    }

    /// Notes that somebody is told, in the transaction that tells them; `false`: somebody was already.
    pub async fn note(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "insert into budget_alerts (budget_id, period_start, threshold, created_at)
             values ($1, $2, $3, $4)
             on conflict do nothing",
            self.budget as _,
            self.period_start,
            self.threshold,
            now,
        );
        Ok(noted.execute(db).await?.rows_affected() == 1)
    }
}
