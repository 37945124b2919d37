use chrono::TimeDelta;
use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::ClientErrors;

/// How long it is kept that something failed.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Rows per statement.
const BATCH: i64 = 1000;

/// Forgets what is old.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeClientErrors {}

impl Job for PurgeClientErrors {
    const NAME: &'static str = "client_errors.purge";
    type Context = ClientErrors;

    async fn run(self, errors: ClientErrors) -> anyhow::Result<()> {
        let until = errors.clock.now() - KEPT;
        let purge = || {
            sqlx::query!(
                "delete from client_errors
                 where id in (select id from client_errors where created_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while purge().execute(errors.db.pool()).await?.rows_affected() > 0 {}
        Ok(())
    }
}
