use graphile_worker::{
    FailureReason, Job, JobComplete, JobFail, JobInterrupted, JobPermanentlyFail, JobRecovery,
    JobRecoveryResult, WorkerOptions,
};
use sqlx::PgPool;

/// Logs and counts what becomes of jobs, by name and id. The library's own lines quote payloads,
/// so the log filter drops them.
pub(crate) fn observe(options: WorkerOptions, db: &PgPool) -> WorkerOptions {
    let db = db.clone();
    options
        .on(JobComplete, |it| async move {
            count(&it.job, "done");
            metrics::histogram!("job_duration_seconds", "job" => it.job.task_identifier().clone())
                .record(it.duration);
        })
        .on(JobFail, move |it| {
            let db = db.clone();
            async move {
                let (job, job_id) = (it.job.task_identifier(), it.job.id());
                tracing::warn!(
                    job,
                    job_id,
                    attempts = it.job.attempts(),
                    error = it.error,
                    "job failed, will retry"
                );
                count(&it.job, "retried");
                if let Err(error) = spread(&db, &it.job).await {
                    tracing::warn!(job, job_id, %error, "the retry keeps its exact time");
                }
            }
        })
        .on(JobPermanentlyFail, |it| async move {
            let (job, job_id) = (it.job.task_identifier(), it.job.id());
            tracing::error!(
                job,
                job_id,
                attempts = it.job.attempts(),
                error = it.error,
                "job failed for good"
            );
            count(&it.job, "dead");
        })
        .on(JobInterrupted, |it| async move {
            let (job, job_id) = (it.job.task_identifier(), it.job.id());
            tracing::warn!(job, job_id, reason = ?it.reason, "job was interrupted");
            count(&it.job, "interrupted");
        })
        // A job that kills its process must reach its ceiling; a shutdown is not the job's fault.
        .on(JobRecovery, |it| async move {
            match it.reason {
                FailureReason::WorkerCrashed => JobRecoveryResult::FailWithBackoff,
                _ => JobRecoveryResult::Default,
            }
        })
}

fn count(job: &Job, outcome: &'static str) {
    metrics::counter!("jobs_total", "job" => job.task_identifier().clone(), "outcome" => outcome)
        .increment(1);
}

/// Bounds the pause before a retry, which the library makes e times as long as the one before, at two hours, and
/// lengthens it by up to a half: jobs that failed together shall not return together.
async fn spread(db: &PgPool, job: &Job) -> sqlx::Result<()> {
    sqlx::query(
        "select graphile_worker.reschedule_jobs(
             array[id], run_at := now() + least(run_at - now(), interval '2 hours') * (1 + 0.5 * random()))
         from graphile_worker.jobs
         where id = $1 and attempts = $2 and locked_at is null and run_at > now()",
    )
    .bind(job.id())
    .bind(job.attempts())
    .execute(db)
    .await?;
    Ok(())
}
