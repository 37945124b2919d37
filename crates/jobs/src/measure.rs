use std::{collections::BTreeMap, time::Duration};

use metrics::gauge;
use sqlx::PgPool;

use crate::{Kind, Registry, kinds};

/// Between two measurements. Every worker measures the same queue.
const PAUSE: Duration = Duration::from_secs(15);

/// Shows depth and age of the queue, job by job.
pub(crate) async fn keep_measuring(db: &PgPool, registry: &Registry) {
    let nothing = registry.names().into_iter().map(|name| (name.to_owned(), Kind::empty(name)));
    let nothing: BTreeMap<String, Kind> = nothing.collect();
    loop {
        match kinds(db).await {
            Ok(seen) => {
                let mut all = nothing.clone();
                all.extend(seen.into_iter().map(|kind| (kind.name.clone(), kind)));
                all.values().for_each(show);
            }
            Err(error) => tracing::debug!(%error, "the queue was not measured"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn show(kind: &Kind) {
    let states = [
        ("ready", kind.ready),
        ("running", kind.running),
        ("waiting", kind.waiting),
        ("dead", kind.dead),
    ];
    for (state, count) in states {
        gauge!("jobs_queued", "job" => kind.name.clone(), "state" => state).set(count as f64);
    }
    gauge!("jobs_oldest_seconds", "job" => kind.name.clone()).set(kind.oldest_seconds as f64);
}
