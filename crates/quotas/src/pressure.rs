use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use sqlx::PgExecutor;

use crate::{Period, picture::zone};

/// How full the fullest limit on all calls of `org` is, in percent, calls in flight included: its own
/// budgets, what its plan includes in money, and the platform's.
pub async fn percent_used(
    db: impl PgExecutor<'_>,
    org: Id<Org>,
    now: DateTime<Utc>,
) -> sqlx::Result<i64> {
    let rows = sqlx::query!(
        r#"select period as "period: Period", period_start, org_id is null as "platform!",
                  (least(spent + held, amount) * 100 / amount)::bigint as "percent!",
                  (select time_zone from orgs where id = org_id) as time_zone
           from budgets
           where (org_id = $1 or org_id is null) and scope in ('org', 'global') and operation is null and not soft and unit <> 'unknowns'
             and amount between 1 and 92233720368547758 and (kind = 'limit' or unit = 'nano_usd')"#,
        org as _,
    )
    .fetch_all(db)
    .await?;
    let current = rows.iter().filter(|row| {
        let zone = if row.platform { Tz::UTC } else { zone(row.time_zone.clone()) };
        row.period_start >= row.period.start(now, zone)
    });
    Ok(current.map(|row| row.percent).max().unwrap_or(0))
}
