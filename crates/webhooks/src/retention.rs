use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Webhooks};

/// Rows that are changed or deleted in one go.
pub(crate) const BATCH: i64 = 1000;

/// Deletes events that are old enough, with their deliveries and attempts, and secrets that no longer sign.
#[derive(Serialize, Deserialize)]
pub(crate) struct DropOldEvents {}

impl Job for DropOldEvents {
    const NAME: &'static str = "webhooks.drop_old_events";
    type Context = Webhooks;

    async fn run(self, webhooks: Webhooks) -> anyhow::Result<()> {
        webhooks.drop_old_secrets().await?;
        Ok(webhooks.drop_old_events().await?)
    }
}

impl Webhooks {
    /// Deletes secrets that were replaced and no longer sign.
    pub async fn drop_old_secrets(&self) -> sqlx::Result<()> {
        sqlx::query!(
            "update webhook_endpoints set previous_secret = null
             where previous_secret is not null and previous_secret_expires_at <= $1",
            self.clock.now(),
        )
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Deletes what belongs to an endpoint that is about to be deleted. What comes meanwhile is deleted with it.
    pub(crate) async fn drop_deliveries(&self, endpoint: Id<Endpoint>) -> sqlx::Result<()> {
        loop {
            let dropped = sqlx::query!(
                "delete from webhook_deliveries
                 where (endpoint_id, event_id) in (
                     select endpoint_id, event_id from webhook_deliveries
                     where endpoint_id = $1 order by event_id limit $2)",
                endpoint as _,
                BATCH,
            );
            let dropped = dropped.execute(self.db.pool()).await?.rows_affected();
            if dropped < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }

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
