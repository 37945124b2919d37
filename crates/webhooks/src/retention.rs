use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Webhooks;

/// Rows that are deleted in one go.
const BATCH: i64 = 1000;

/// Deletes events that are old enough, with their deliveries and attempts.
#[derive(Serialize, Deserialize)]
pub(crate) struct DropOldEvents {}

impl Job for DropOldEvents {
    const NAME: &'static str = "webhooks.drop_old_events";
    type Context = Webhooks;

    async fn run(self, webhooks: Webhooks) -> anyhow::Result<()> {
        Ok(webhooks.drop_old_events().await?)
    }
}

impl Webhooks {
    /// Deletes events that are old enough, delivered or not.
    pub async fn drop_old_events(&self) -> sqlx::Result<()> {
        let kept_from = self.clock.now() - self.config.retention();
        loop {
            let dropped = sqlx::query!(
                "delete from webhook_events
                 where id in (select id from webhook_events where created_at < $1
                              order by created_at limit $2)",
                kept_from,
                BATCH,
            );
            let dropped = dropped.execute(self.db.pool()).await?.rows_affected();
            if dropped < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }
}
