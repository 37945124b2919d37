use anyhow::ensure;
use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};
use jobs::Job;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{Usage, allow_long_statements};

/// Drops the calls of months that are over for long enough. What they add up to stays.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DropOldCalls {}

impl Job for DropOldCalls {
    const NAME: &'static str = "usage.drop_old_calls";
    type Context = Usage;

    async fn run(self, usage: Usage) -> anyhow::Result<()> {
        let mut tx = usage.db.begin().await?;
        allow_long_statements(&mut tx).await?;
        drop_old(&mut tx, cutoff(usage.clock.now(), usage.config.usage_retention_months)).await?;
        Ok(tx.commit().await?)
    }
}

/// The beginning of the first month that is kept.
fn cutoff(now: DateTime<Utc>, months: u32) -> DateTime<Utc> {
    let month = now.date_naive().with_day(1).unwrap_or_default();
    (month - Months::new(months)).and_time(NaiveTime::MIN).and_utc()
}

/// Drops whole partitions, in the transaction that has just compared their roll-ups with them.
async fn drop_old(db: &mut PgConnection, cutoff: DateTime<Utc>) -> anyhow::Result<()> {
    let xid = sqlx::query_scalar!("select xid from usage_watermark for update")
        .fetch_one(&mut *db)
        .await?;
    let old = sqlx::query_scalar!(
        r#"select exists (select from usage_records where created_at < $1) as "old!""#,
        cutoff,
    )
    .fetch_one(&mut *db)
    .await?;
    if old {
        check(db, xid, cutoff).await?;
    }
    let first_kept = format!("usage_records_{}", cutoff.format("%Y_%m"));
    let partitions = sqlx::query_scalar!(
        r#"select inhrelid::regclass::text as "name!"
           from pg_inherits
           where inhparent = 'usage_records'::regclass
             and inhrelid::regclass::text ~ '^usage_records_\d{4}_\d{2}$'
             and inhrelid::regclass::text < $1"#,
        first_kept,
    )
    .fetch_all(&mut *db)
    .await?;
    for name in partitions {
        tracing::info!(name, "the calls of a month are dropped");
        sqlx::raw_sql(AssertSqlSafe(format!("drop table {name}"))).execute(&mut *db).await?;
    }
    sqlx::query!("delete from usage_records_default where created_at < $1", cutoff)
        .execute(&mut *db)
        .await?;
    sqlx::query!("update usage_watermark set raw_from = greatest(raw_from, $1)", cutoff)
        .execute(db)
        .await?;
    Ok(())
}

async fn check(db: &mut PgConnection, xid: i64, cutoff: DateTime<Utc>) -> anyhow::Result<()> {
    let state = sqlx::query!(
        r#"select exists (select from usage_records where created_at < $1 and xid >= $2) as "fresh!",
                  exists (select from usage_violations where slot < $1) as "wrong!""#,
        cutoff,
        xid,
    )
    .fetch_one(db)
    .await?;
    ensure!(!state.fresh, "old calls are not rolled up yet");
    ensure!(!state.wrong, "the roll-ups of old calls are wrong: see usage_violations");
    Ok(())
}
