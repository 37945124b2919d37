use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Durable;

/// Keeps the table from growing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeRateLimits;

impl Job for PurgeRateLimits {
    const NAME: &'static str = "rate_limit.purge";

    type Context = Durable;

    async fn run(self, durable: Durable) -> anyhow::Result<()> {
        Ok(durable.purge().await?)
    }
}
