use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use futures::FutureExt;
use graphile_worker::{ShutdownSignal, WorkerContext};
use sqlx::PgPool;

tokio::task_local! {
    static RUNNING: Lease;
}

/// One attempt at a job: what its worker holds until it is declared dead.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job's row in the queue, the same for all attempts.
    pub job: i64,
    /// Counts the attempts, from 1.
    pub attempt: i16,
    worker: String,
    stop: ShutdownSignal,
}

/// The attempt that the caller is part of; `None` outside of jobs, and in tasks that a job spawned.
pub fn running() -> Option<Lease> {
    RUNNING.try_with(Clone::clone).ok()
}

impl Lease {
    /// Whether the worker was told to stop: what takes its time should begin nothing more and end, before the
    /// grace period does it.
    pub fn is_stopping(&self) -> bool {
        self.stop.clone().now_or_never().is_some()
    }

    /// Waits until the worker is told to stop.
    pub async fn stopping(&self) {
        self.stop.clone().await;
    }

    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        RUNNING.scope(self.clone(), work).await
    }
}

/// What the attempts of one worker share.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    db: PgPool,
    stop: ShutdownSignal,
    jobs: Arc<Mutex<HashSet<i64>>>,
}

/// An attempt that runs in this worker, for as long as it does.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    leases: Leases,
}

impl Leases {
    pub(crate) fn new(db: PgPool, stop: ShutdownSignal) -> Self {
        Self { db, stop, jobs: Arc::default() }
    }

    /// Takes note of an attempt. Fails if another of the same job still runs here: a worker that was taken for
    /// dead may get its job back, and the library ends attempts by worker and job, whichever it is.
    pub(crate) fn take(&self, context: &WorkerContext) -> anyhow::Result<Held> {
        let (job, worker) = (*context.job().id(), context.worker_id().to_owned());
        let first = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(job);
        first.then_some(()).context("an earlier attempt still runs")?;
        let (attempt, stop) = (*context.job().attempts(), self.stop.clone());
        Ok(Held { lease: Lease { job, attempt, worker, stop }, leases: self.clone() })
    }
}

impl Held {
    /// Removes the job from the queue, unless it was given to somebody else in the meantime: the library
    /// would remove it all the same. (It tries to again, and finds nothing.)
    pub(crate) async fn complete(&self) -> anyhow::Result<()> {
        // One that was superseded while it ran is out of attempts.
        let removed = sqlx::query(
            "delete from graphile_worker._private_jobs job
             where id = $1 and locked_by = $2
               and (attempts = $3
                    or exists (select from graphile_worker._private_job_retirements it where it.id = job.id))",
        )
        .bind(self.lease.job)
        .bind(&self.lease.worker)
        .bind(self.lease.attempt)
        .execute(&self.leases.db)
        .await?;
        ensure!(removed.rows_affected() == 1, "another worker has taken this job over");
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.lease.job);
    }
}
