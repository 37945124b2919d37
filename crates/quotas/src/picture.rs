use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{Budget, Grant, Kind, Period, Scope, Unit, counters::Counters};

/// What the database was last known to hold of one org, or of the platform.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Of the set of its budgets and grants.
    pub(crate) version: i64,
    pub(crate) zone: Tz,
    /// In the order of their ids.
    pub(crate) budgets: Vec<Budget>,
    /// In the order in which they are spent.
    pub(crate) grants: Vec<Grant>,
}

impl Picture {
    /// When the latest of the periods began that are shown: whoever's clock is behind follows it.
    pub(crate) fn latest_start(&self) -> DateTime<Utc> {
        let starts = self.budgets.iter().map(|it| it.starts);
        starts.max().unwrap_or(DateTime::UNIX_EPOCH)
    }

    pub(crate) fn roll(&mut self, now: DateTime<Utc>) {
        for budget in &mut self.budgets {
            budget.roll(now, self.zone);
        }
    }

    pub(crate) fn budget(&mut self, id: Id<Budget>) -> Option<&mut Budget> {
        self.budgets.iter_mut().find(|it| it.id == id)
    }

    pub(crate) fn grant(&mut self, id: Id<Grant>) -> Option<&mut Grant> {
        self.grants.iter_mut().find(|it| it.id == id)
    }

    /// The batch is written, and these rows show these counters now.
    pub(crate) fn written(&mut self, rows: &HashMap<Uuid, (i64, i64)>) {
        for budget in &mut self.budgets {
            if let Some((spent, held)) = rows.get(&budget.id.uuid()) {
                budget.counters.written(*spent, *held);
                budget.shown = budget.starts;
            }
        }
        for grant in &mut self.grants {
            if let Some((spent, held)) = rows.get(&grant.id.uuid()) {
                grant.counters.written(*spent, *held);
            }
        }
        self.discard();
    }

    /// Forgets what the batch would have done.
    pub(crate) fn discard(&mut self) {
        for budget in &mut self.budgets {
            budget.discard();
        }
        for grant in &mut self.grants {
            grant.counters.discard();
        }
    }
}

/// The platform's picture and that of `org`, as the database shows them now.
///
/// The versions are read first: what changes in between is noticed when the decision is written.
pub(crate) async fn read(
    db: &mut PgConnection,
    org: Id<Org>,
    now: DateTime<Utc>,
) -> sqlx::Result<(Picture, Picture)> {
    let (zone, platform_version, org_version) = versions(&mut *db, org).await?;
    let (platform, budgets) = budgets(&mut *db, org).await?.into_iter().partition(is_platforms);
    let grants = grants(db, org, now).await?;
    Ok((
        Picture { version: platform_version, zone: Tz::UTC, budgets: platform, grants: Vec::new() },
        Picture { version: org_version, zone, budgets, grants },
    ))
}

/// Locks what [`read`] will read, in the one order that everybody uses.
pub(crate) async fn lock(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
    Budget::lock(&mut *db, org).await?;
    Grant::lock(db, org).await
}

/// The time zone whose midnights begin `org`'s periods.
pub(crate) async fn zone_of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Tz> {
    let name = sqlx::query_scalar!("select time_zone from orgs where id = $1", org as _)
        .fetch_optional(db)
        .await?;
    Ok(zone(name))
}

/// Unknown names are UTC.
pub(crate) fn zone(name: Option<String>) -> Tz {
    name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

fn is_platforms(budget: &Budget) -> bool {
    budget.org.is_none()
}

async fn versions(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<(Tz, i64, i64)> {
    let row = sqlx::query!(
        r#"select (select time_zone from orgs where id = $1) as time_zone,
                  coalesce((select version from books where id = $2), 0) as "platform!",
                  coalesce((select version from books where id = $1), 0) as "org!""#,
        org as _,
        Uuid::nil(),
    )
    .fetch_one(db)
    .await?;
    Ok((zone(row.time_zone), row.platform, row.org))
}

async fn budgets(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<Vec<Budget>> {
    sqlx::query!(
        r#"select id as "id: Id<Budget>", scope as "scope: Scope", org_id as "org: Id<Org>",
                  subject_id, kind as "kind: Kind", period as "period: Period", unit as "unit: Unit",
                  operation, soft, amount, raised_by, raised_until, version, period_start, spent, held
           from budgets
           where org_id = $1 or org_id is null
           order by org_id is null, id"#,
        org as _,
    )
    .map(|row| Budget {
        id: row.id,
        scope: row.scope,
        org: row.org,
        subject: row.subject_id,
        kind: row.kind,
        period: row.period,
        unit: row.unit,
        operation: row.operation,
        soft: row.soft,
        amount: row.amount,
        raised_by: row.raised_by,
        raised_until: row.raised_until,
        version: row.version,
        shown: row.period_start,
        starts: row.period_start,
        counters: Counters::new(row.spent, row.held),
    })
    .fetch_all(db)
    .await
}

/// Those that have not lapsed, and of which calls have not spent everything.
async fn grants(
    db: &mut PgConnection,
    org: Id<Org>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Grant>> {
    let mut grants = sqlx::query!(
        r#"select id as "id: Id<Grant>", priority, expires_at, amount, revoked, spent, held
           from grants
           where org_id = $1 and (expires_at is null or expires_at > $2) and spent + revoked < amount"#,
        org as _,
        now,
    )
    .map(|row| Grant {
        id: row.id,
        priority: row.priority,
        expires_at: row.expires_at,
        amount: row.amount,
        revoked: row.revoked,
        counters: Counters::new(row.spent, row.held),
    })
    .fetch_all(db)
    .await?;
    let never = DateTime::<Utc>::MAX_UTC;
    grants.sort_by_key(|it| (it.priority, it.expires_at.unwrap_or(never), it.id));
    Ok(grants)
}
