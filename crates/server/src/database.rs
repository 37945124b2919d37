use anyhow::{Context, ensure};
use app::{Check, Module};
use chrono::{DateTime, Utc};
use jobs::{Registry, Schedule, Upkeep};
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::{Settings, partitions};

/// The address of the configured database; `embedded` is used where none is configured.
pub fn database_address(
    settings: &Settings,
    embedded: Option<PgConnectOptions>,
) -> anyhow::Result<PgConnectOptions> {
    settings.db.address().or(embedded).context("DATABASE_URL is not set")
}

/// Brings schema, roles, partitions and shipped data up to date. Instances that start together may
/// all do it.
pub async fn prepare_database(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await.context("the database does not answer")?;
    db::create_tenant_role(&mut connection).await?;
    drop(connection);
    db::migrate_up(pool).await.context("migrate the database")?;
    jobs::migrate(pool).await.context("migrate the job queue")?;
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(20261121)").execute(&mut *tx).await?;
    partitions::create_all(&mut tx, now).await.context("make partitions")?;
    usage::seed_price_book(&mut tx).await.context("seed the price book")?;
    tx.commit().await?;
    Ok(())
}

/// How long a job may be ready before somebody should look why nobody runs it.
const PATIENCE_SECONDS: i64 = 300;

/// Whether the database and the queue in it work.
pub(crate) fn module(pool: PgPool) -> Module {
    let (queue, upkeep) = (pool.clone(), pool.clone());
    let database = move || {
        let pool = pool.clone();
        async move {
            sqlx::query("select 1").execute(&pool).await?;
            Ok(())
        }
    };
    let jobs = move || {
        let pool = queue.clone();
        async move {
            let waiting = jobs::stats(&pool).await?.oldest_ready_seconds;
            ensure!(waiting < PATIENCE_SECONDS, "a job has been waiting for {waiting} s");
            // One that stops takes its leave.
            if let Some(worker) = jobs::instances(&pool).await?.first() {
                let silent = worker.silent_seconds;
                ensure!(silent < PATIENCE_SECONDS, "no worker has been heard for {silent} s");
            }
            Ok(())
        }
    };
    let checks = vec![Check::critical("database", database), Check::degrading("jobs", jobs)];
    Module {
        checks,
        jobs: Registry::default().with::<Upkeep>(upkeep),
        schedules: vec![Schedule::cron("25 * * * *", &Upkeep {})],
        ..Module::default()
    }
}
