use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Idempotency;

/// Forgets answers whose day is over, and with them what they were about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeIdempotencyKeys;

impl Job for PurgeIdempotencyKeys {
    const NAME: &'static str = "idempotency.purge";
    type Context = Idempotency;

    async fn run(self, idempotency: Idempotency) -> anyhow::Result<()> {
        let now = idempotency.clock.now();
        sqlx::query!("delete from idempotency_keys where expires_at <= $1", now)
            .execute(idempotency.db.pool())
            .await?;
        Ok(())
    }
}
