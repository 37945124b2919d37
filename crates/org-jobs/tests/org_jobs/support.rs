use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Parser;
use jobs::Registry;
use kernel::Id;
use org_jobs::{By, Handler, OrgJob, OrgJobs, Progress, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use testing::{Client, TestApp};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use web::Problem;

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    org_jobs: org_jobs::Config,
    #[command(flatten)]
    jobs: jobs::Config,
}

/// The product, and beside it kinds of jobs of the test's own.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) jobs: OrgJobs,
    pub(crate) registry: Registry,
    pub(crate) log: Log,
    pub(crate) started: mpsc::UnboundedReceiver<String>,
    go: Arc<Semaphore>,
    settings: jobs::Config,
}

/// What was said, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<String>>>);

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        let settings = Settings::parse_from([&["test"], flags].concat());
        let app = TestApp::start_with(|all| all.org_jobs = settings.org_jobs.clone()).await;
        let jobs = OrgJobs::new(app.db.clone(), app.clock.clone(), &settings.org_jobs);
        let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
        let (start, started) = mpsc::unbounded_channel();
        let waits = Waits { started: start, go: go.clone() };
        let handlers = [
            Handler::new::<Echo>(log.clone()),
            Handler::new::<Wait>(waits.clone()),
            Handler::new::<Costly>(waits),
        ];
        let registry = org_jobs::module(jobs.clone(), handlers).jobs;
        Self { app, jobs, registry, log, started, go, settings: settings.jobs }
    }

    /// Lets so many items go on that wait, or that will.
    pub(crate) fn go(&self, items: usize) {
        self.go.add_permits(items);
    }

    pub(crate) fn by(owner: &Client) -> By {
        By { org: owner.org(), user: owner.user(), api_key: None }
    }

    pub(crate) async fn queue<W: Work>(&self, owner: &Client, items: &[W]) -> Id<OrgJob> {
        self.try_queue(owner, items).await.unwrap()
    }

    pub(crate) async fn try_queue<W: Work>(
        &self,
        owner: &Client,
        items: &[W],
    ) -> Result<Id<OrgJob>, Problem> {
        let mut tx = self.app.db.begin().await.unwrap();
        let job = self.jobs.queue(&mut tx, Self::by(owner), items).await?;
        tx.commit().await.unwrap();
        Ok(job.id)
    }

    /// Runs what is due, one after the other.
    pub(crate) async fn run(&self) {
        let failed = jobs::run_due(self.app.db.pool(), &self.registry).await.unwrap();
        assert_eq!(failed, []);
    }

    /// Runs what is due now or later.
    pub(crate) async fn run_all(&self) {
        let due = "update graphile_worker._private_jobs set run_at = now() where run_at > now()";
        sqlx::query(due).execute(self.app.db.pool()).await.unwrap();
        self.run().await;
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    /// A worker beside the test, and what stops it.
    pub(crate) fn work(&self) -> Running {
        let db: PgPool = self.app.db.pool().clone();
        let (registry, config) = (self.registry.clone(), self.settings.clone());
        let worker = jobs::Worker::new(db.clone(), db, registry, vec![], config);
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(worker.run(async move { stopped.notified().await }));
        Running { stop, task }
    }

    /// The next item of `Wait` or `Costly` that began.
    pub(crate) async fn next(&mut self) -> String {
        timeout(PATIENCE, self.started.recv()).await.expect("an item begins").unwrap()
    }

    /// Looks at a job until it is as expected.
    pub(crate) async fn until(
        &self,
        owner: &Client,
        id: Id<OrgJob>,
        expected: impl Fn(&Value) -> bool,
    ) -> Value {
        let looking = async {
            loop {
                let job = owner.get(&format!("/v1/jobs/{id}")).await.ok();
                if expected(&job) {
                    return job;
                }
                pause().await;
            }
        };
        timeout(PATIENCE, looking).await.expect("the job becomes what it should")
    }
}

/// Between two looks: others need the machine, too.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

pub(crate) struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn tell_to_stop(&self) {
        self.stop.notify_one();
    }

    pub(crate) async fn stop(self) {
        self.stop.notify_one();
        timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap();
    }
}

/// Says a word, after it has failed as often as told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Echo {
    word: String,
    failures: usize,
    passing: bool,
}

impl Echo {
    pub(crate) fn item(word: &str) -> Self {
        Self { word: word.to_owned(), failures: 0, passing: false }
    }

    pub(crate) fn failing(word: &str, failures: usize) -> Self {
        Self { word: word.to_owned(), failures, passing: false }
    }

    /// Its failures say that trying again may help.
    pub(crate) fn passing(word: &str, failures: usize) -> Self {
        Self { word: word.to_owned(), failures, passing: true }
    }
}

impl Work for Echo {
    const KIND: &'static str = "test.echo";
    type Context = Log;

    async fn run(self, _: By, progress: Progress, log: Log) -> Result<Value, Problem> {
        progress.report(50, &format!("about to say {}", self.word)).await?;
        let tries = {
            let mut log = log.0.lock().unwrap();
            log.push(self.word.clone());
            log.iter().filter(|word| **word == self.word).count()
        };
        if tries > self.failures {
            return Ok(json!({ "said": self.word }));
        }
        if self.passing {
            return Err(Problem::unavailable(anyhow::anyhow!("not yet")));
        }
        Err(Problem::unprocessable("broken", "it is broken"))
    }
}

#[derive(Clone)]
pub(crate) struct Waits {
    started: mpsc::UnboundedSender<String>,
    go: Arc<Semaphore>,
}

/// Says that it began, then waits to be let go; looks whether it was called off.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wait(pub(crate) String);

impl Work for Wait {
    const KIND: &'static str = "test.wait";
    type Context = Waits;

    async fn run(self, _: By, progress: Progress, waits: Waits) -> Result<Value, Problem> {
        waits.started.send(self.0).unwrap();
        waits.go.acquire().await.unwrap().forget();
        progress.report(90, "almost there").await?;
        Ok(json!({}))
    }
}

/// The same, of something that must not be done twice.
#[derive(Serialize, Deserialize)]
pub(crate) struct Costly(pub(crate) String);

impl Work for Costly {
    const KIND: &'static str = "test.costly";
    const REPEATABLE: bool = false;
    type Context = Waits;

    async fn run(self, by: By, progress: Progress, waits: Waits) -> Result<Value, Problem> {
        Wait(self.0).run(by, progress, waits).await
    }
}
