//! Whether workers live, and do what is queued.

use std::time::Duration;

use ::jobs::{Enqueue, Upkeep};
use anyhow::ensure;
use tokio::time::{Instant, sleep};

use super::{Context, Group::Features as Here, Line};

/// How long a job may take from being queued to being done.
const PATIENCE: Duration = Duration::from_secs(15);
const CANARY: &str = "jobs.upkeep:preflight";

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let start = "Start a worker: `slipway worker`, or ROLES with worker.";
    let workers = async {
        let workers = ::jobs::instances(context.product.db.pool()).await?;
        let limit = i64::try_from(context.settings.jobs.jobs_rescue_after_seconds)?;
        let alive = workers.iter().filter(|it| it.silent_seconds <= limit).count();
        ensure!(alive > 0, "none gives a sign of life");
        anyhow::Ok(format!("{alive} give signs of life"))
    };
    vec![
        Here.judge("workers", workers.await, start),
        Here.judge("canary job", canary(context).await, start),
    ]
}

/// Queues a harmless job and waits until it is done.
async fn canary(context: &Context<'_>) -> anyhow::Result<String> {
    let pool = context.product.db.pool();
    let began = Instant::now();
    let mut tx = context.product.db.begin().await?;
    Enqueue::new(&Upkeep {}).key(CANARY).urgent().send(&mut tx).await?;
    tx.commit().await?;
    while ::jobs::is_queued(pool, CANARY).await? {
        ensure!(began.elapsed() < PATIENCE, "nobody did it within {PATIENCE:?}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(format!("queued and done in {} ms", began.elapsed().as_millis()))
}
