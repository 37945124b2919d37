//! `slipway restore-drill`: a backup nobody has restored is a hope.

use anyhow::{Context, ensure};
use backups::{Backups, Drill, Manifest};
use chrono::TimeDelta;
use kernel::{Clock, Id};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{
    Development, Product, Settings,
    commands::{backup, ledger, usage},
    database_address, output, prepare_database,
};

/// What the names of copies begin with.
const PREFIX: &str = "slipway_drill_";

/// What to restore, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Which backup; without it the newest.
    id: Option<Uuid>,

    /// An empty database. Without it one is made beside the real one, and dropped afterwards.
    #[arg(long)]
    into: Option<PgConnectOptions>,
}

/// Restores a backup, checks every rule of the books in the copy, and takes note of the outcome.
pub async fn run(settings: Settings, options: Options) -> anyhow::Result<()> {
    let development = Development::database_only(&settings).await?;
    let address = database_address(&settings, development.database())?;
    let backups = backup::of(&settings, address.clone())?;
    let manifest = backups.find(options.id.map(Id::from)).await?;
    let started_at = Clock::System.now();
    let outcome = match &options.into {
        Some(scratch) => prove(&settings, &backups, &manifest, scratch).await,
        None => prove_beside(&settings, &backups, &manifest, &address).await,
    };
    let error = outcome.as_ref().err().map(|error| format!("{error:#}"));
    let drill = Drill { started_at, finished_at: Clock::System.now(), error };
    backups.note_drill(&manifest, &drill).await?;
    development.stop().await?;
    outcome.with_context(|| format!("backup {} does not stand the drill", manifest.id))?;
    let (took, age) = (drill.finished_at - started_at, started_at - manifest.started_at);
    output::line(&format!(
        "The backup stands. It took {} s to have it back; {} min were not in it.",
        took.num_seconds(),
        age.num_minutes()
    ));
    Ok(())
}

async fn prove_beside(
    settings: &Settings,
    backups: &Backups,
    manifest: &Manifest,
    address: &PgConnectOptions,
) -> anyhow::Result<()> {
    let address = settings.db.direct_address().unwrap_or_else(|| address.clone());
    let mut beside = address.connect().await.context("the database does not answer")?;
    drop_abandoned(&mut beside).await?;
    let name = format!("{PREFIX}{}", Uuid::now_v7().simple());
    execute(&mut beside, format!("create database {name}")).await.context(
        "cannot make a database to restore into; make one yourself and name it with --into",
    )?;
    beside.close().await?;
    let outcome = prove(settings, backups, manifest, &address.clone().database(&name)).await;
    // Anew: nothing may have kept a connection open for as long as that took.
    let dropped = async {
        let mut beside = address.connect().await?;
        execute(&mut beside, format!("drop database {name} with (force)")).await
    };
    let dropped = dropped.await.with_context(|| format!("the copy {name} is still there"));
    outcome.and(dropped)
}

/// Drops copies of drills that died: all of customers' data is in them.
async fn drop_abandoned(db: &mut PgConnection) -> anyhow::Result<()> {
    let unused: Vec<String> = sqlx::query_scalar(
        "select datname from pg_database
         where starts_with(datname, $1) and pg_has_role(datdba, 'member')
           and not exists (select from pg_stat_activity a where a.datname = pg_database.datname)",
    )
    .bind(PREFIX)
    .fetch_all(&mut *db)
    .await?;
    let limit = (Clock::System.now() - TimeDelta::hours(1)).timestamp();
    for name in &unused {
        let id = name.strip_prefix(PREFIX).and_then(|id| id.parse::<Uuid>().ok());
        let made = id.and_then(|id| id.get_timestamp()).map(|at| at.to_unix().0);
        // One that was just made is about to be used.
        if made.is_some_and(|made| i64::try_from(made).is_ok_and(|made| made < limit)) {
            execute(db, format!("drop database {name}")).await?;
        }
    }
    Ok(())
}

async fn execute(db: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    db.execute(AssertSqlSafe(statement)).await.map(|_| ())
}

async fn prove(
    settings: &Settings,
    backups: &Backups,
    manifest: &Manifest,
    scratch: &PgConnectOptions,
) -> anyhow::Result<()> {
    backups.restore(manifest, scratch).await?;
    output::line("restored");
    // Not by the settings, which may name another address to go round a pooler.
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(scratch.clone());
    let outcome = judge(settings, &pool).await;
    pool.close().await;
    let broken = outcome?;
    for it in &broken {
        output::line(it);
    }
    ensure!(
        broken.is_empty(),
        "{} rules are broken in the copy, the first: {}",
        broken.len(),
        broken[0]
    );
    Ok(())
}

/// Everything that is wrong with the copy, once this release has taken it over.
async fn judge(settings: &Settings, pool: &PgPool) -> anyhow::Result<Vec<String>> {
    prepare_database(pool, Clock::System.now()).await?;
    let product = Product::compose(&settings.clone().without_mail(), pool.clone(), Clock::System)?;
    // Calls that were in flight are over, as they are at every start.
    product.quotas.reap().await?;
    let mut broken = ledger::broken(pool).await?;
    output::line("the books: checked");
    broken.extend(usage::broken(pool).await?);
    output::line("usage: checked");
    product.audit.seal().await?;
    let found = product.audit.verify(None).await?;
    broken.extend(found.breaks.into_iter().map(|it| format!("audit log: {}", it.what)));
    output::line(&format!("audit log: {} events checked", found.seals));
    Ok(broken)
}
