use anyhow::ensure;
use graphile_worker::WorkerContext;
use sqlx::PgPool;

tokio::task_local! {
    static RUNNING: Lease;
}

/// One attempt at a job: what its worker holds until it is declared dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job's row in the queue, the same for all attempts.
    pub job: i64,
    /// Counts the attempts, from 1.
    pub attempt: i16,
    worker: String,
}

/// The attempt that the caller is part of; `None` outside of jobs, and in tasks that a job spawned.
pub fn running() -> Option<Lease> {
    RUNNING.try_with(Clone::clone).ok()
}

impl Lease {
    pub(crate) fn of(context: &WorkerContext) -> Self {
        let (job, worker) = (context.job(), context.worker_id().to_owned());
        Self { job: *job.id(), attempt: *job.attempts(), worker }
    }

    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        RUNNING.scope(self.clone(), work).await
    }

    /// Removes the job from the queue, unless it was given to somebody else in the meantime: the library
    /// would remove it all the same. (It tries to again, and finds nothing.)
    pub(crate) async fn complete(&self, db: &PgPool) -> anyhow::Result<()> {
        // One that was superseded while it ran is out of attempts.
        let removed = sqlx::query(
            "delete from graphile_worker._private_jobs job
             where id = $1 and locked_by = $2
               and (attempts = $3
                    or exists (select from graphile_worker._private_job_retirements it where it.id = job.id))",
        )
        .bind(self.job)
        .bind(&self.worker)
        .bind(self.attempt)
        .execute(db)
        .await?;
        ensure!(removed.rows_affected() == 1, "another worker has taken this job over");
        Ok(())
    }
}
