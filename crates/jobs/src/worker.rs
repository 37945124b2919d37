use std::{collections::HashSet, time::Duration};

use futures::FutureExt;
use graphile_worker::{Database, ShutdownSignal, WorkerOptions, WorkerRecoveryConfig, WorkerUtils};
use sqlx::PgPool;

use crate::{
    Config, Registry, Schedule, listener::Source, measure::keep_measuring, observe::observe,
    registry::Lane,
};

/// Pause before a worker that lost the database starts again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Installs or updates the queue's own schema; does nothing if it is up to date.
///
/// Several processes may do this at once. The connecting role must own the database.
pub async fn migrate(db: &PgPool) -> anyhow::Result<()> {
    Ok(WorkerUtils::new(db.clone(), "graphile_worker").migrate().await?)
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
        tokio::join!(self.keep_working(Lane::Quick, shutdown.clone()), slow, measuring);
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
        let slots = if lane == Lane::Quick { self.schedules.as_slice() } else { &[] };
        let source = Source::new(self.db.clone(), self.listening.clone());
        let options =
            observe(self.registry.define(options, Some(lane), &self.db, shutdown), &self.db)
                .with_crons(slots.iter().map(|schedule| schedule.crontab.clone()))
                .database(Database::new(source));
        Ok(options.init().await?.run().await?)
    }
}
