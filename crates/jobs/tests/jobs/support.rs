use std::{sync::Arc, time::Duration};

use clap::Parser;
use jobs::{Filter, Job, Queued, Registry, Schedule, State, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};

use crate::enqueue_now;

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Says that it started, then waits to be let go.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wait(pub(crate) u32);

impl Job for Wait {
    const NAME: &'static str = "test/wait";
    type Context = (mpsc::UnboundedSender<u32>, Arc<Notify>);

    async fn run(self, (started, go): Self::Context) -> anyhow::Result<()> {
        started.send(self.0)?;
        go.notified().await;
        Ok(())
    }
}

/// Says that it ran.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tell(pub(crate) u32);

impl Job for Tell {
    const NAME: &'static str = "test/tell";
    type Context = mpsc::UnboundedSender<u32>;

    async fn run(self, told: Self::Context) -> anyhow::Result<()> {
        Ok(told.send(self.0)?)
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    jobs: jobs::Config,
}

pub(crate) fn config(flags: &[&str]) -> jobs::Config {
    Settings::parse_from([&["test"], flags].concat()).jobs
}

/// A worker of its own, stopped through the handle.
pub(crate) struct Running {
    pub(crate) stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(
        db: &PgPool,
        registry: &Registry,
        schedules: &[Schedule],
        config: jobs::Config,
    ) -> Self {
        let worker =
            Worker::new(db.clone(), db.clone(), registry.clone(), schedules.to_vec(), config);
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(worker.run(async move { stopped.notified().await }));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.notify_one();
        timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap();
    }
}

/// A worker in the middle of `Wait(1)`, where it says so again, and what lets it go.
pub(crate) async fn busy(db: &PgPool) -> (Running, mpsc::UnboundedReceiver<u32>, Arc<Notify>) {
    let (start, mut started) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let registry = Registry::default().with::<Wait>((start, go.clone()));
    let worker = Running::start(db, &registry, &[], config(&[]));
    enqueue_now(db, &Wait(1)).await;
    next(&mut started).await;
    (worker, started, go)
}

pub(crate) async fn next(told: &mut mpsc::UnboundedReceiver<u32>) -> u32 {
    timeout(PATIENCE, told.recv()).await.expect("the job runs").unwrap()
}

/// The dead letters, the newest first.
pub(crate) async fn dead(db: &PgPool) -> Vec<Queued> {
    let filter = Filter { state: Some(State::Dead), ..Filter::default() };
    jobs::list(db, &filter, 100).await.unwrap()
}

/// Between two looks: others need the machine, too.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The backend that listens for new jobs; waits until there is one, other than `before`.
pub(crate) async fn listener(db: &PgPool, before: Option<i32>) -> i32 {
    let listening = async {
        loop {
            let pid: Option<i32> = sqlx::query_scalar(
                "select pid from pg_stat_activity
                 where datname = current_database() and state = 'idle' and query like 'LISTEN%'
                   and pid is distinct from $1",
            )
            .bind(before)
            .fetch_optional(db)
            .await
            .unwrap();
            if let Some(pid) = pid {
                return pid;
            }
            pause().await;
        }
    };
    timeout(PATIENCE, listening).await.expect("the worker listens")
}
