use chrono::TimeDelta;
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Webhooks, delivery::wake};

/// Wakes, every minute, whoever has something due and nobody who delivers it: after a process died.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sweep {}

impl Job for Sweep {
    const NAME: &'static str = "webhooks.sweep";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Webhooks;

    async fn run(self, webhooks: Webhooks) -> anyhow::Result<()> {
        Ok(webhooks.sweep().await?)
    }
}

impl Webhooks {
    /// Wakes one after its org made something due; the org's transaction has no access to the queue. If this
    /// fails, the next sweep does it.
    pub(crate) async fn wake_now(&self, endpoint: Id<Endpoint>) {
        if let Err(error) = wake(self.db.pool(), endpoint, TimeDelta::zero()).await {
            tracing::warn!(%endpoint, %error, "an endpoint is woken by the next sweep");
        }
    }

    /// Wakes every endpoint that has something due and nobody who delivers it.
    pub async fn sweep(&self) -> sqlx::Result<()> {
        let asleep: Vec<Id<Endpoint>> = sqlx::query_scalar!(
            r#"select n.id as "id: _"
               from webhook_endpoints n
               where n.disabled_at is null
                 and (n.paused_until is null or n.paused_until <= $1)
                 and (n.lane_until is null or n.lane_until <= clock_timestamp())
                 and exists (select from webhook_deliveries d
                             where d.endpoint_id = n.id and d.status = 'pending' and d.due_at <= $1)
               order by n.id"#,
            self.clock.now(),
        )
        .fetch_all(self.db.pool())
        .await?;
        for endpoint in asleep {
            wake(self.db.pool(), endpoint, TimeDelta::zero()).await?;
        }
        Ok(())
    }
}
