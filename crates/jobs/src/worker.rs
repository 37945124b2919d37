use std::{collections::HashSet, time::Duration};

use futures::FutureExt;
use graphile_worker::{ShutdownSignal, WorkerOptions, WorkerUtils};
use sqlx::PgPool;

use crate::{Config, Registry, Schedule, observe::observe};

/// Pause before a worker that lost the database starts again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Installs or updates the queue's own schema; does nothing if it is up to date.
///
/// Several processes may do this at once. The connecting role must own the database.
pub async fn migrate(db: &PgPool) -> anyhow::Result<()> {
    Ok(WorkerUtils::new(db.clone(), "graphile_worker").migrate().await?)
}

/// Runs queued jobs until told to stop.
///
/// It needs a direct connection to Postgres (it listens for new jobs), and a pool with room for
/// the connections of [`Config::jobs_concurrency`] jobs and three of its own. Where the listening
/// connection breaks, new jobs wait for the next look at the queue until the worker is restarted.
#[derive(Debug)]
pub struct Worker {
    db: PgPool,
    registry: Registry,
    schedules: Vec<Schedule>,
    config: Config,
}

impl Worker {
    /// A worker that runs what `registry` knows and queues what `schedules` say; either may be empty.
    ///
    /// # Panics
    /// If a schedule appears twice.
    pub fn new(db: PgPool, registry: Registry, schedules: Vec<Schedule>, config: Config) -> Self {
        let mut known = HashSet::new();
        for schedule in &schedules {
            let id = schedule.crontab.identifier();
            assert!(known.insert(id), "{id} is scheduled twice");
        }
        Self { db, registry, schedules, config }
    }

    /// Works until `shutdown` completes, then lets running jobs finish for the grace period.
    ///
    /// A lost database is waited for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let shutdown = shutdown.boxed().shared();
        while let Err(error) = self.work(shutdown.clone()).await {
            tracing::error!(error = format!("{error:#}"), "job worker stopped, starting again");
            tokio::select! {
                () = shutdown.clone() => return,
                () = tokio::time::sleep(RESTART_DELAY) => {}
            }
        }
    }

    async fn work(&self, shutdown: ShutdownSignal) -> anyhow::Result<()> {
        let options = self.config.apply(WorkerOptions::default()).shutdown_signal(shutdown);
        let options = observe(self.registry.define(options), &self.db)
            .with_crons(self.schedules.iter().map(|schedule| schedule.crontab.clone()))
            .pg_pool(self.db.clone());
        Ok(options.init().await?.run().await?)
    }
}
