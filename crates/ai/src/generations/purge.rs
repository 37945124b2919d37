use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Ai;

/// Rows per statement: long statements are cancelled, and hold up others.
const BATCH: i64 = 1000;

/// Deletes requests and answers whose time is over, and quotes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeGenerations {}

impl Job for PurgeGenerations {
    const NAME: &'static str = "ai.purge_generations";
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        let now = ai.clock.now();
        let purge = || {
            sqlx::query!(
                "delete from generations where id in
                     (select id from generations
                      where expires_at < $1 and status <> 'running' and batch_id is null
                      limit $2)",
                now,
                BATCH,
            )
        };
        while purge().execute(ai.db.pool()).await?.rows_affected() > 0 {}
        let purge_quotes = || {
            sqlx::query!(
                "delete from ai_quotes where id in
                     (select id from ai_quotes where expires_at < $1 limit $2)",
                now,
                BATCH,
            )
        };
        while purge_quotes().execute(ai.db.pool()).await?.rows_affected() > 0 {}
        Ok(())
    }
}
