use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::pending};
use graphile_worker::{AfterJobRun, HookResult, WorkerOptions};
use sqlx::PgPool;

use crate::{Failed, Registry, observe::observe};

/// Runs jobs one after the other until none is due, for tests. Returns the attempts that failed.
///
/// End the transactions that queued them first: a job's very first use is a row others wait for.
pub async fn run_due(db: &PgPool, registry: &Registry) -> anyhow::Result<Vec<Failed>> {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let sink = failures.clone();
    let options = WorkerOptions::default().concurrency(1).listen_os_shutdown_signals(false).on(
        AfterJobRun,
        move |it| {
            if let Err(last_error) = it.result {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(Failed {
                    id: *it.job.id(),
                    name: it.job.task_identifier().clone(),
                    attempts: *it.job.attempts(),
                    last_error,
                });
            }
            async { HookResult::Continue }
        },
    );
    let options = observe(registry.define(options, None, db, pending().boxed().shared()), db)
        .pg_pool(db.clone());
    options.init().await?.run_once().await?;
    let failures = mem::take(&mut *failures.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(failures)
}
