use chrono::{DateTime, Utc};
use futures::future::join_all;
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::{Held, Hold, Quotas, Result};

/// How many holds are ended at once.
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

/// Ends every hold that has expired; answers how many. Several instances may do so at once. One that
/// cannot be ended does not keep the others.
pub(crate) async fn reap_all(quotas: &Quotas) -> Result<usize> {
    let now = quotas.clock().now();
    let mut ended = 0;
    let mut after = (DateTime::UNIX_EPOCH, Id::<Hold>::from(uuid::Uuid::nil()));
    loop {
        let expired = expired(quotas.db().pool(), now, after).await?;
        let Some(last) = expired.last() else { break };
        after = (last.expires_at, last.id());
        let ends = expired.into_iter().map(|it| quotas.end(it.given_up(Some(now))));
        for result in join_all(ends).await {
            match result {
                Ok(was_open) => ended += usize::from(was_open),
                Err(error) => tracing::error!(%error, "an expired call could not be given up"),
            }
        }
    }
    if ended > 0 {
        tracing::warn!(count = ended, "calls with unknown outcome were given up");
    }
    Ok(ended)
}

/// Those that expired before `now`, the next ones after `after`.
async fn expired(
    db: &PgPool,
    now: DateTime<Utc>,
    after: (DateTime<Utc>, Id<Hold>),
) -> Result<Vec<Held>> {
    let ids = sqlx::query_scalar!(
        "select id from holds
         where expires_at < $1 and (expires_at, id) > ($2, $3)
         order by expires_at, id
         limit $4",
        now,
        after.0,
        after.1 as _,
        BATCH,
    )
    .fetch_all(db)
    .await?;
    Ok(Held::find(db, &ids).await?)
}
