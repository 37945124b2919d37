use std::collections::HashMap;

use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, types::Json};
use web::Tier;

use crate::{Kind, NewBudget, Period, Scope, Unit};

/// How many calls of an org may end each day without anybody learning how: the platform pays for
/// them. Operators may set another number.
const UNKNOWNS_PER_DAY: i64 = 50;

/// What an org's plan gives it. `billing` decides it; nobody here has heard of Stripe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// The plan's name, for people.
    pub plan: String,
    /// Scales rate limits.
    pub tier: Tier,
    /// How many people the org may have.
    pub seats: i64,
    /// How many bytes it may store.
    pub storage_bytes: i64,
    /// Calls that draw no credits.
    pub included: Included,
}

/// The calls that a plan pays for. Past any of these a call draws credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Included {
    /// Generations per day.
    pub per_day: i64,
    /// Generations per month.
    pub per_month: i64,
    /// Provider cost per month.
    pub spend_per_month: NanoUsd,
}

impl Entitlement {
    /// The plan that each org has now.
    pub async fn plans(db: impl PgExecutor<'_>) -> sqlx::Result<HashMap<Id<Org>, String>> {
        let rows = sqlx::query!(r#"select org_id as "org: Id<Org>", plan from entitlements"#);
        let rows = rows.fetch_all(db).await?;
        Ok(rows.into_iter().map(|row| (row.org, row.plan)).collect())
    }

    /// What `org` is entitled to; `None` if it never was to anything.
    pub async fn of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Option<Self>> {
        let row = sqlx::query!(
            r#"select e.plan, e.tier as "tier: Tier", e.seats, e.storage_bytes,
                      coalesce(sum(b.amount) filter (where b.period = 'day'), 0)::bigint as "per_day!",
                      coalesce(sum(b.amount) filter (where b.period = 'month' and b.unit = 'requests'), 0)::bigint
                          as "per_month!",
                      coalesce(sum(b.amount) filter (where b.unit = 'nano_usd'), 0)::bigint as "spend!"
               from entitlements e
               left join budgets b on b.org_id = e.org_id and b.kind = 'included'
               where e.org_id = $1
               group by e.org_id"#,
            org as _,
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map(|row| Self {
            plan: row.plan,
            tier: row.tier,
            seats: row.seats,
            storage_bytes: row.storage_bytes,
            included: Included {
                per_day: row.per_day,
                per_month: row.per_month,
                spend_per_month: NanoUsd(row.spend),
            },
        }))
    }
}

/// Entitles `org` from now on, in the transaction that changes its plan. What it has used of the
/// running periods stays used.
pub async fn entitle(
    db: &mut PgConnection,
    org: Id<Org>,
    to: &Entitlement,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into entitlements (org_id, plan, tier, seats, storage_bytes, updated_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (org_id) do update
         set plan = excluded.plan, tier = excluded.tier, seats = excluded.seats,
             storage_bytes = excluded.storage_bytes, updated_at = excluded.updated_at",
        org as _,
        to.plan,
        to.tier as _,
        to.seats,
        to.storage_bytes,
        now,
    )
    .execute(&mut *db)
    .await?;
    let included = [
        (Period::Day, Unit::Requests, to.included.per_day),
        (Period::Month, Unit::Requests, to.included.per_month),
        (Period::Month, Unit::NanoUsd, to.included.spend_per_month.0),
    ];
    for (period, unit, amount) in included {
        let budget = NewBudget {
            scope: Scope::Org,
            org: Some(org),
            subject: None,
            kind: Kind::Included,
            period,
            unit,
            operation: None,
            soft: false,
            amount,
        };
        budget.set(db, now).await?;
    }
    NewBudget::limit(Some(org), Period::Day, Unit::Unknowns, UNKNOWNS_PER_DAY)
        .set_if_absent(db, now)
        .await
}

/// Entitles a new `org`: to what new orgs are entitled to since [`entitle_new_orgs`], else to `default`.
pub async fn entitle_new(
    db: &mut PgConnection,
    org: Id<Org>,
    default: &Entitlement,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let set = sqlx::query_scalar!(
        r#"select entitlement as "entitlement: Json<Entitlement>" from first_entitlement"#
    );
    let set = set.fetch_optional(&mut *db).await?;
    entitle(db, org, set.as_deref().unwrap_or(default), now).await
}

/// Entitles the orgs that are made from now on, in the transaction that changes what is free.
pub async fn entitle_new_orgs(db: &mut PgConnection, to: &Entitlement) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into first_entitlement (entitlement) values ($1)
         on conflict (only_row) do update set entitlement = excluded.entitlement",
        Json(to) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}
