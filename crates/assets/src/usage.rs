use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};

use crate::{Error, Result};

/// Reserves `bytes` of what the plan of `org` gives it, in one statement: of any number at the same time as
/// many pass as there is room for.
pub(crate) async fn reserve(db: &mut PgConnection, org: Id<Org>, bytes: i64) -> Result<()> {
    let reserved = sqlx::query!(
        "insert into asset_usage as u (org_id, bytes)
         select org_id, $2 from entitlements where org_id = $1 and storage_bytes >= $2
         on conflict (org_id) do update set bytes = u.bytes + excluded.bytes
         where u.bytes + excluded.bytes <= (select storage_bytes from entitlements where org_id = $1)",
        org as _,
        bytes,
    )
    .execute(db)
    .await?;
    if reserved.rows_affected() == 1 { Ok(()) } else { Err(Error::QuotaExceeded) }
}

/// Gives `bytes` back, in the transaction that ends what they were for.
pub(crate) async fn release(db: &mut PgConnection, org: Id<Org>, bytes: i64) -> sqlx::Result<()> {
    sqlx::query!("update asset_usage set bytes = bytes - $2 where org_id = $1", org as _, bytes)
        .execute(db)
        .await?;
    Ok(())
}

/// What the org whose transaction this is stores, uploads under way included, and what it may.
pub(crate) async fn of(db: impl PgExecutor<'_>) -> sqlx::Result<(i64, i64)> {
    let found = sqlx::query!(
        r#"select coalesce((select bytes from asset_usage), 0) as "used!", storage_bytes from entitlements"#
    );
    let found = found.fetch_optional(db).await?;
    Ok(found.map_or((0, 0), |it| (it.used, it.storage_bytes)))
}

/// An org whose counter is not the sum of what it stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose.
    pub org: Id<Org>,
    /// What is counted.
    pub counted: i64,
    /// What there is.
    pub stored: i64,
}

/// Every wrong counter; there is none.
pub async fn differences(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Difference>> {
    sqlx::query_as!(
        Difference,
        r#"with stored as (
               select org_id, sum(bytes)::bigint as bytes from (
                   select org_id, bytes from assets where deleted_at is null
                   union all
                   select org_id, bytes from uploads where status = 'open') as it
               group by org_id)
           select coalesce(u.org_id, s.org_id) as "org!: _", coalesce(u.bytes, 0) as "counted!",
                  coalesce(s.bytes, 0) as "stored!"
           from asset_usage u full join stored s using (org_id)
           where coalesce(u.bytes, 0) <> coalesce(s.bytes, 0)"#
    )
    .fetch_all(db)
    .await
}
