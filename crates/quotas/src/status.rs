use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Kind, Period, Scope, Unit, picture::zone_of};

/// What an org may still use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaStatus)]
pub struct Status {
    /// The plan's name.
    pub plan: String,
    /// Credits that can be spent now.
    pub credits: Credits,
    /// What the plan includes, and budgets that people set.
    pub budgets: Vec<BudgetStatus>,
}

/// Credits that can be spent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credits {
    /// Free to be spent.
    pub available: i64,
    /// May be spent after those, and is billed afterwards.
    pub overage: i64,
    /// Reserved by calls in flight.
    pub held: i64,
    /// Spent, and then taken back because the money for them was returned. New credits pay for them first.
    pub owed: i64,
}

/// One budget and what is left of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetStatus {
    /// Whose use it counts.
    pub scope: Scope,
    /// Whether it stops calls or pays for them.
    pub kind: Kind,
    /// How long it lasts.
    pub period: Period,
    /// What it counts.
    pub unit: Unit,
    /// How much may be used in this period.
    pub amount: i64,
    /// How much has been, calls in flight included.
    pub used: i64,
    /// How much is left.
    pub remaining: i64,
    /// When it begins anew.
    pub resets_at: Option<DateTime<Utc>>,
}

impl Credits {
    /// What `org` has.
    pub async fn of(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"select coalesce(sum(greatest(amount - spent - held - revoked, 0))
                          filter (where source <> 'overage' and (expires_at is null or expires_at > $2)), 0)::bigint
                          as "available!",
                      coalesce(sum(greatest(amount - spent - held - revoked, 0))
                          filter (where source = 'overage' and expires_at > $2), 0)::bigint as "overage!",
                      coalesce(sum(held), 0)::bigint as "held!",
                      coalesce(sum(greatest(spent + revoked - amount, 0)), 0)::bigint as "owed!"
               from grants
               where org_id = $1"#,
            org as _,
            now,
        )
        .fetch_one(db)
        .await
    }
}

impl Status {
    /// What `org` may still use at `now`.
    pub async fn of(db: &mut PgConnection, org: Id<Org>, now: DateTime<Utc>) -> sqlx::Result<Self> {
        let plan = sqlx::query_scalar!("select plan from entitlements where org_id = $1", org as _)
            .fetch_optional(&mut *db)
            .await?;
        let rows = sqlx::query!(
            r#"select scope as "scope: Scope", kind as "kind: Kind", period as "period: Period",
                      unit as "unit: Unit", amount, period_start, spent + held as "used!"
               from budgets
               where org_id = $1 and unit <> 'unknowns'
               order by id"#,
            org as _,
        )
        .fetch_all(&mut *db)
        .await?;
        let zone = zone_of(&mut *db, org).await?;
        let budgets = rows.into_iter().map(|row| {
            // Counters of a period that is over are only reset by the next reservation.
            let used = if row.period_start < row.period.start(now, zone) { 0 } else { row.used };
            BudgetStatus {
                scope: row.scope,
                kind: row.kind,
                period: row.period,
                unit: row.unit,
                amount: row.amount,
                used,
                remaining: (row.amount - used).max(0),
                resets_at: row.period.end(now, zone),
            }
        });
        let budgets = budgets.collect();
        let credits = Credits::of(db, org, now).await?;
        Ok(Self { plan: plan.unwrap_or_default(), credits, budgets })
    }
}
