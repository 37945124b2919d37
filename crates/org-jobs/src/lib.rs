//! Work of orgs that outlives a request: queued, done in turns, followed, called off.
//!
//! A domain implements [`Work`] for what one item takes, queues jobs of one or many items in its own
//! transactions, and gets the rest: `/v1/jobs`, progress, events, partial failure, cancelling, fairness between
//! orgs and limits.

mod by;
mod claim;
mod config;
mod events;
mod handler;
mod item;
mod job;
mod personal_data;
mod progress;
mod queue;
mod routes;
mod run;
mod sweep;
mod ticket;
mod webhook_events;

use std::{sync::Arc, time::Duration};

use app::{EventType, Module};
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use tokio::sync::Semaphore;

pub use by::By;
pub use config::Config;
pub use handler::{Handler, Work};
pub use job::{OrgJob, Status};
pub use progress::Progress;

use queue::Waiting;
use sweep::{Purge, Sweep};
use ticket::{Ticket, Worker};
use webhook_events::{JobEnded, JobStarted};

/// Where jobs of orgs are queued and looked at. Copies share what they know.
#[derive(Clone, Debug)]
pub struct OrgJobs {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    waiting: Arc<Waiting>,
    pub(crate) followers: Arc<Semaphore>,
}

impl OrgJobs {
    /// Jobs within the limits that `config` sets.
    pub fn new(db: Db, clock: Clock, config: &Config) -> Self {
        let followers = Arc::new(Semaphore::new(config.org_jobs_followers.into()));
        Self { db, clock, config: config.clone(), waiting: Arc::default(), followers }
    }

    /// How long a job is worked on before others get their turn.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_secs(self.config.org_jobs_turn_seconds)
    }
}

/// Jobs of orgs as a part of the product, of the kinds that `handlers` can do.
pub fn module(jobs: OrgJobs, handlers: impl IntoIterator<Item = Handler>) -> Module {
    let worker = Worker::new(jobs.clone(), handlers);
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes::routes().merge(events::routes()).with_state(jobs.clone()),
        jobs: Registry::default()
            .with::<Ticket>(worker)
            .with::<Sweep>(jobs.clone())
            .with::<Purge>(jobs),
        schedules: vec![
            Schedule::cron("* * * * *", &Sweep {}),
            Schedule::cron("35 * * * *", &Purge {}),
        ],
        events: vec![EventType::of::<JobStarted>(), EventType::of::<JobEnded>()],
        ..Module::default()
    }
}
