use std::sync::Arc;

use jobs::{Job, Registry};
use serde::{Deserialize, Serialize};
use testing::Database;
use tokio::sync::{Notify, mpsc};

use crate::{
    enqueue_now,
    support::{Running, Tell, config, next},
};

/// Says that it started, then waits to be let go.
#[derive(Serialize, Deserialize)]
struct Slow;

impl Job for Slow {
    const NAME: &'static str = "test/slow";
    const SLOW: bool = true;
    type Context = (mpsc::UnboundedSender<u32>, Arc<Notify>);

    async fn run(self, (started, go): Self::Context) -> anyhow::Result<()> {
        started.send(0)?;
        go.notified().await;
        Ok(())
    }
}

#[tokio::test]
async fn slow_jobs_do_not_keep_quick_ones_waiting() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (start, mut started) = mpsc::unbounded_channel();
    let (tell, mut told) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let registry = Registry::default().with::<Slow>((start, go.clone())).with::<Tell>(tell);
    for _ in 0..20 {
        enqueue_now(&db, &Slow).await;
    }
    let flags = ["--jobs-concurrency=1", "--jobs-slow-concurrency=2", "--jobs-grace-seconds=0"];
    let worker = Running::start(&db, &registry, &[], config(&flags));
    next(&mut started).await;
    next(&mut started).await;

    for number in 1..=5 {
        enqueue_now(&db, &Tell(number)).await;
        assert_eq!(next(&mut told).await, number);
    }
    assert!(started.try_recv().is_err(), "more slow jobs run than may");
    worker.stop().await;
}
