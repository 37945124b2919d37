//! How many jobs a second one worker does, compared with the library alone, and how long a job waits:
//! `cargo run --release -p jobs --example throughput`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use graphile_worker::{
    IntoTaskHandlerResult, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
};
use jobs::{Job, Registry, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use testing::Database;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

const JOBS: u32 = 5000;
const ONE_BY_ONE: usize = 500;

/// Ends at once.
#[derive(Serialize, Deserialize)]
struct Nothing {}

impl Job for Nothing {
    const NAME: &'static str = "bench/nothing";
    type Context = Count;

    async fn run(self, count: Count) -> anyhow::Result<()> {
        count.add();
        Ok(())
    }
}

/// The same, as the library has it.
#[derive(Serialize, Deserialize)]
struct Bare {}

impl TaskHandler for Bare {
    const IDENTIFIER: &'static str = "bench/bare";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        context.get_ext::<Count>().expect("given to the worker").add();
        Ok::<(), String>(())
    }
}

/// How many have run.
#[derive(Clone, Debug, Default)]
struct Count(Arc<(AtomicUsize, Notify)>);

impl Count {
    fn add(&self) {
        if self.0.0.fetch_add(1, SeqCst) + 1 == JOBS as usize {
            self.0.1.notify_one();
        }
    }

    /// Jobs a second, when all have run.
    async fn rate(&self, since: Instant) -> f64 {
        self.0.1.notified().await;
        f64::from(JOBS) / since.elapsed().as_secs_f64()
    }
}

/// Says when it started.
#[derive(Serialize, Deserialize)]
struct Tell {}

impl Job for Tell {
    const NAME: &'static str = "bench/tell";
    type Context = mpsc::UnboundedSender<Instant>;

    async fn run(self, told: Self::Context) -> anyhow::Result<()> {
        Ok(told.send(Instant::now())?)
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    jobs: jobs::Config,
}

#[tokio::main]
async fn main() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let library = library(&db).await;
    let ours = ours(&db).await;
    let [p50, p99] = delays(&db).await;
    println!("the library alone:  {library:.0} jobs/s");
    println!("ours:               {ours:.0} jobs/s ({:.2} of it)", ours / library);
    println!("queued to started:  p50 {p50:?}, p99 {p99:?}");
}

async fn fill(db: &PgPool, name: &str) {
    let add = "select count(*) from (
                   select graphile_worker.add_job($1, '{\"job\": {}}') from generate_series(1, $2)) it";
    let count = i32::try_from(JOBS).expect("a small number");
    sqlx::query(add).bind(name).bind(count).execute(db).await.expect("fill the queue");
}

/// As many slots as ours, and everything that the library has for speed.
async fn library(db: &PgPool) -> f64 {
    fill(db, Bare::IDENTIFIER).await;
    let (count, stop) = (Count::default(), Arc::new(Notify::new()));
    let stopped = stop.clone();
    let worker = WorkerOptions::default()
        .concurrency(10)
        .local_queue(LocalQueueConfig::default().with_size(500))
        .complete_job_batch_delay(Duration::from_millis(1))
        .define_job::<Bare>()
        .add_extension(count.clone())
        .listen_os_shutdown_signals(false)
        .shutdown_signal(async move { stopped.notified().await })
        .pg_pool(db.clone())
        .init()
        .await
        .expect("start the library");
    let begun = Instant::now();
    let running = tokio::spawn(async move { worker.run().await });
    let rate = count.rate(begun).await;
    stop.notify_one();
    running.await.expect("no panic").expect("stop the library");
    rate
}

fn start(db: &PgPool, registry: Registry) -> (JoinHandle<()>, Arc<Notify>) {
    let config = Settings::parse_from(["throughput"]).jobs;
    let worker = Worker::new(db.clone(), db.clone(), registry, vec![], config);
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    (tokio::spawn(worker.run(async move { stopped.notified().await })), stop)
}

async fn ours(db: &PgPool) -> f64 {
    fill(db, Nothing::NAME).await;
    let count = Count::default();
    let begun = Instant::now();
    let (running, stop) = start(db, Registry::default().with::<Nothing>(count.clone()));
    let rate = count.rate(begun).await;
    stop.notify_one();
    running.await.expect("no panic");
    rate
}

/// One job at a time, while nothing else is to do.
async fn delays(db: &PgPool) -> [Duration; 2] {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (running, stop) = start(db, Registry::default().with::<Tell>(tell));
    let mut delays = Vec::new();
    let mut connection = db.acquire().await.expect("a connection");
    for _ in 0..=ONE_BY_ONE {
        let queued = Instant::now();
        jobs::enqueue(&mut connection, &Tell {}).await.expect("queue a job");
        delays.push(told.recv().await.expect("it starts") - queued);
    }
    stop.notify_one();
    running.await.expect("no panic");
    // The first waits for the worker to start.
    delays.remove(0);
    delays.sort();
    [delays[ONE_BY_ONE / 2], delays[ONE_BY_ONE * 99 / 100]]
}
