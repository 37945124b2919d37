use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Budget, Error, Period, Result, Scope, Unit, picture::zone_of};

/// A budget that somebody set, and what is left of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub struct BudgetView {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Budget>,
    /// Whose use it counts.
    pub scope: Scope,
    /// The project, person or API key, if it is about one.
    pub subject_id: Option<Uuid>,
    /// How long it lasts before it begins anew, in the org's time zone.
    pub period: Period,
    /// What it counts.
    pub unit: Unit,
    /// The one operation it counts, such as `chat`; absent: all.
    pub operation: Option<String>,
    /// Whether it only alerts and stops nothing.
    pub soft: bool,
    /// How much may be used in a period.
    pub amount: i64,
    /// How much more for a while.
    pub raise: Option<Raise>,
    /// How much has been used in this period, calls in flight included.
    pub used: i64,
    /// How much is left.
    pub remaining: i64,
    /// When it begins anew; absent: never.
    pub resets_at: Option<DateTime<Utc>>,
    /// Grows with every change; the `ETag`.
    pub version: i64,
}

/// More, for a while.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BudgetRaise)]
pub struct Raise {
    /// How much more.
    pub by: i64,
    /// Until then.
    pub until: DateTime<Utc>,
}

/// A row as it is stored.
struct Row {
    id: Id<Budget>,
    scope: Scope,
    subject_id: Option<Uuid>,
    period: Period,
    unit: Unit,
    operation: Option<String>,
    soft: bool,
    amount: i64,
    raised_by: i64,
    raised_until: Option<DateTime<Utc>>,
    period_start: DateTime<Utc>,
    used: i64,
    version: i64,
}

impl Row {
    fn at(self, now: DateTime<Utc>, zone: Tz) -> BudgetView {
        // Counters of a period that is over are only reset by the next reservation.
        let used = if self.period_start < self.period.start(now, zone) { 0 } else { self.used };
        let raise = self.raised_until.filter(|until| now < *until && self.raised_by > 0);
        let raise = raise.map(|until| Raise { by: self.raised_by, until });
        let limit = self.amount.saturating_add(raise.as_ref().map_or(0, |raise| raise.by));
        BudgetView {
            id: self.id,
            scope: self.scope,
            subject_id: self.subject_id,
            period: self.period,
            unit: self.unit,
            operation: self.operation,
            soft: self.soft,
            amount: self.amount,
            raise,
            used,
            remaining: limit.saturating_sub(used).max(0),
            resets_at: self.period.end(now, zone),
            version: self.version,
        }
    }
}

impl BudgetView {
    /// Those of `org`, or of the platform, the oldest first.
    pub async fn list(
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Self>> {
        let rows = sqlx::query_as!(
            Row,
            r#"select id as "id: _", scope as "scope: _", subject_id, period as "period: _",
                      unit as "unit: _", operation, soft, amount, raised_by, raised_until, period_start,
                      spent + held as "used!", version
               from budgets
               where org_id is not distinct from $1 and kind = 'limit' and unit <> 'unknowns'
               order by id"#,
            org as _,
        )
        .fetch_all(&mut *db)
        .await?;
        let zone = zone(db, org).await?;
        Ok(rows.into_iter().map(|row| row.at(now, zone)).collect())
    }

    /// One of `org`, or of the platform.
    pub async fn get(
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        id: Id<Budget>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let row = Self::row(&mut *db, org, id).await?.ok_or(Error::BudgetNotFound)?;
        Ok(row.at(now, zone(db, org).await?))
    }

    /// The same, and nobody changes it until the transaction ends.
    pub(super) async fn lock(
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        id: Id<Budget>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        sqlx::query!("select from budgets where id = $1 for no key update", id as _)
            .execute(&mut *db)
            .await?;
        Self::get(db, org, id, now).await
    }

    async fn row(
        db: impl PgExecutor<'_>,
        org: Option<Id<Org>>,
        id: Id<Budget>,
    ) -> sqlx::Result<Option<Row>> {
        sqlx::query_as!(
            Row,
            r#"select id as "id: _", scope as "scope: _", subject_id, period as "period: _",
                      unit as "unit: _", operation, soft, amount, raised_by, raised_until, period_start,
                      spent + held as "used!", version
               from budgets
               where id = $2 and org_id is not distinct from $1 and kind = 'limit'
                 and unit <> 'unknowns'"#,
            org as _,
            id as _,
        )
        .fetch_optional(db)
        .await
    }
}

async fn zone(db: &mut PgConnection, org: Option<Id<Org>>) -> sqlx::Result<Tz> {
    match org {
        Some(org) => zone_of(db, org).await,
        None => Ok(Tz::UTC),
    }
}
