use chrono::TimeDelta;
use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Support;

/// Rows per statement.
const BATCH: i64 = 1000;

/// Forgets what is old.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeSupport {}

impl Job for PurgeSupport {
    const NAME: &'static str = "support.purge";
    type Context = Support;

    async fn run(self, support: Support) -> anyhow::Result<()> {
        let (db, now, config) = (support.db.pool(), support.clock.now(), &support.config);
        let until = now - TimeDelta::days(config.support_retention_days);
        let tickets = || {
            sqlx::query!(
                "delete from tickets where updated_at < $1
                     and id in (select id from tickets where updated_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while tickets().execute(db).await?.rows_affected() > 0 {}
        let feedback = || {
            sqlx::query!(
                "delete from feedback
                 where id in (select id from feedback where created_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while feedback().execute(db).await?.rows_affected() > 0 {}
        let until = now - TimeDelta::days(config.notifications_retention_days);
        let notifications = || {
            sqlx::query!(
                "delete from notifications where (user_id, number) in
                     (select user_id, number from notifications where created_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while notifications().execute(db).await?.rows_affected() > 0 {}
        Ok(())
    }
}
