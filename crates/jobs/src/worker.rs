use std::{collections::HashSet, time::Duration};

use futures::FutureExt;
use graphile_worker::{
    Database, HookRegistry, ShutdownSignal, WorkerOptions, WorkerRecoveryConfig, WorkerUtils,
};
use graphile_worker_crontab_runner::CronRunner;
use sqlx::PgPool;

use crate::{
    Config, Registry, Schedule, clock::DatabaseClock, listener::Source, measure::keep_measuring,
    observe::observe, registry::Lane,
};

const SCHEMA: &str = "graphile_worker";

/// Pause before a worker that lost the database starts again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Installs or updates the queue's own schema; does nothing if it is up to date.
///
/// Several processes may do this at once. The connecting role must own the database.
pub async fn migrate(db: &PgPool) -> anyhow::Result<()> {
    Ok(WorkerUtils::new(db.clone(), SCHEMA).migrate().await?)
}

/// Runs queued jobs until told to stop.
#[derive(Debug)]
pub struct Worker {
    db: PgPool,
    listening: PgPool,
    registry: Registry,
    schedules: Vec<Schedule>,
    config: Config,
}

impl Worker {
    /// A worker that runs what `registry` knows and queues what `schedules` say; either may be empty.
    ///
    /// `db` needs room for the jobs that run at the same time and for three of the worker's own connections;
    /// `listening`, which must not lead through a transaction pooler, for two.
    ///
    /// # Panics
    /// If a schedule appears twice.
    pub fn new(
        db: PgPool,
        listening: PgPool,
        registry: Registry,
        schedules: Vec<Schedule>,
        config: Config,
    ) -> Self {
        let mut known = HashSet::new();
        for schedule in &schedules {
            let id = schedule.crontab.identifier();
            assert!(known.insert(id), "{id} is scheduled twice");
        }
        Self { db, listening, registry, schedules, config }
    }

    /// Works until `shutdown` completes, then lets running jobs finish for the grace period.
    ///
    /// A lost database is waited for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let shutdown = shutdown.boxed().shared();
        let slow = async {
            if self.registry.uses(Lane::Slow) {
                self.keep_working(Lane::Slow, shutdown.clone()).await;
            }
        };
        let measuring = async {
            tokio::select! {
                () = shutdown.clone() => {}
                () = keep_measuring(&self.db, &self.registry) => {}
            }
        };
        let quick = self.keep_working(Lane::Quick, shutdown.clone());
        tokio::join!(quick, slow, measuring, self.keep_scheduling(shutdown.clone()));
    }

    /// Queues what the schedules say. A lost database is waited for.
    async fn keep_scheduling(&self, shutdown: ShutdownSignal) {
        let slots: Vec<_> = self.schedules.iter().map(|it| it.crontab.clone()).collect();
        if slots.is_empty() {
            return;
        }
        let clock = tokio::select! {
            () = shutdown.clone() => return,
            clock = DatabaseClock::start(self.db.clone()) => clock,
        };
        let (database, hooks) = (Database::from(&self.db), HookRegistry::default());
        let runner = CronRunner::new(&database, SCHEMA, &slots, &hooks).with_clock(clock);
        if let Err(error) = runner.run(shutdown).await {
            tracing::error!(%error, "nothing is scheduled any more");
        }
    }

    async fn keep_working(&self, lane: Lane, shutdown: ShutdownSignal) {
        while let Err(error) = self.work(lane, shutdown.clone()).await {
            tracing::error!(error = format!("{error:#}"), "job worker stopped, starting again");
            tokio::select! {
                () = shutdown.clone() => return,
                () = tokio::time::sleep(RESTART_DELAY) => {}
            }
        }
    }

    async fn work(&self, lane: Lane, shutdown: ShutdownSignal) -> anyhow::Result<()> {
        let options = self.config.apply(WorkerOptions::default(), lane);
        let options = options.shutdown_signal(shutdown.clone());
        // Who runs nothing is nobody to count on; nor has it jobs that others could take over.
        let options = if self.registry.uses(lane) {
            options
        } else {
            options.worker_recovery(WorkerRecoveryConfig::default())
        };
        let source = Source::new(self.db.clone(), self.listening.clone());
        let options =
            observe(self.registry.define(options, Some(lane), &self.db, shutdown), &self.db)
                .database(Database::new(source));
        Ok(options.init().await?.run().await?)
    }
}
