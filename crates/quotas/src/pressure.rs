use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::PgExecutor;

use crate::Period;

/// How full the fullest limit on all calls of `org` is, in percent, calls in flight included: its own
/// budgets, what its plan includes in money, and the platform's.
pub async fn percent_used(
    db: impl PgExecutor<'_>,
    org: Id<Org>,
    now: DateTime<Utc>,
) -> sqlx::Result<i64> {
    let rows = sqlx::query!(
        r#"select period as "period: Period", period_start,
                  (least(spent + held, amount) * 100 / amount)::bigint as "percent!"
           from budgets
           where (org_id = $1 or org_id is null) and scope in ('org', 'global') and operation is null
             and amount between 1 and 92233720368547758 and (kind = 'limit' or unit = 'nano_usd')"#,
        org as _,
    )
    .fetch_all(db)
    .await?;
    let current = rows.iter().filter(|row| row.period_start >= row.period.start(now));
    Ok(current.map(|row| row.percent).max().unwrap_or(0))
}
