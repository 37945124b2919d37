use anyhow::ensure;
use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};
use jobs::Job;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::Audit;

/// Drops the events of months that are over for long enough. Their seals stay, so that the chains of
/// what is kept can still be followed from their beginning.
#[derive(Serialize, Deserialize)]
pub(crate) struct DropOldEvents {}

impl Job for DropOldEvents {
    const NAME: &'static str = "audit.drop_old_events";
    type Context = Audit;

    async fn run(self, audit: Audit) -> anyhow::Result<()> {
        audit.seal().await?;
        audit.drop_old().await
    }
}

impl Audit {
    /// The beginning of the first month whose events are kept.
    pub(crate) fn kept_from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let month = now.date_naive().with_day(1).unwrap_or_default();
        (month - Months::new(self.retention_months)).and_time(NaiveTime::MIN).and_utc()
    }

    /// Drops whole partitions: within one, nothing can be removed.
    pub async fn drop_old(&self) -> anyhow::Result<()> {
        let kept_from = self.kept_from(self.clock.now());
        let mut tx = self.db.begin().await?;
        let unsealed = sqlx::query_scalar!(
            r#"select exists (select from audit_unsealed where created_at < $1) as "unsealed!""#,
            kept_from,
        )
        .fetch_one(&mut *tx)
        .await?;
        ensure!(!unsealed, "old events of the audit log are not sealed yet");
        let first_kept = format!("audit_events_{}", kept_from.format("%Y_%m"));
        let partitions = sqlx::query_scalar!(
            r#"select inhrelid::regclass::text as "name!"
               from pg_inherits
               where inhparent = 'audit_events'::regclass
                 and inhrelid::regclass::text ~ '^audit_events_\d{4}_\d{2}$'
                 and inhrelid::regclass::text < $1"#,
            first_kept,
        )
        .fetch_all(&mut *tx)
        .await?;
        for name in partitions {
            tracing::info!(name, "the audit log of a month is dropped");
            sqlx::raw_sql(AssertSqlSafe(format!("drop table {name}"))).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}
