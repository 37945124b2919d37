use chrono::{DateTime, Utc};
use db::Db;
use jobs::Job;
use kernel::{Id, NanoUsd};
use serde::{Deserialize, Serialize};

use crate::{
    Hold, Quotas,
    settle::{Settlement, Used, settle_in},
};

/// How many holds one transaction ends.
const BATCH: i64 = 100;

/// Ends holds that nobody settled: the process died, or the call hung beyond all time-outs.
///
/// The customer gets everything back. Whether the provider billed us is unknown, so the platform's
/// budget keeps counting what was reserved.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReapHolds {}

impl Job for ReapHolds {
    const NAME: &'static str = "quotas.reap_holds";
    type Context = Quotas;

    async fn run(self, quotas: Quotas) -> anyhow::Result<()> {
        quotas.reap().await?;
        Ok(())
    }
}

/// Ends every hold that expired before `now`; answers how many. Several instances may do so at once.
pub(crate) async fn reap_all(db: &Db, now: DateTime<Utc>) -> sqlx::Result<usize> {
    let mut ended = 0;
    loop {
        let mut tx = db.begin().await?;
        let expired = sqlx::query!(
            r#"select id as "id: Id<Hold>", cost_nano_usd
               from holds
               where expires_at < $1
               order by expires_at
               limit $2
               for update skip locked"#,
            now,
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        if expired.is_empty() {
            return Ok(ended);
        }
        let settlements: Vec<Settlement> = expired
            .into_iter()
            .map(|row| Settlement {
                hold: row.id,
                used: Some(Used::unknown(NanoUsd(row.cost_nano_usd))),
            })
            .collect();
        settle_in(&mut tx, now, &settlements).await?;
        tx.commit().await?;
        tracing::warn!(count = settlements.len(), "calls with unknown outcome were given up");
        ended += settlements.len();
    }
}
