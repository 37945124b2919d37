//! `slipway restore-drill`: a backup nobody has restored is a hope.

use anyhow::{Context, ensure};
use backups::{Backups, Drill, Manifest};
use kernel::{Clock, Id};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{Product, Settings, commands::backup, database_address, output, prepare_database};

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
    #[cfg(feature = "simulators")]
    let development = crate::Development::database_only(&settings).await?;
    #[cfg(feature = "simulators")]
    let embedded = development.database();
    #[cfg(not(feature = "simulators"))]
    let embedded = None;
    let address = database_address(&settings, embedded)?;
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
    #[cfg(feature = "simulators")]
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
    let name = format!("slipway_drill_{}", Uuid::now_v7().simple());
    execute(&mut beside, format!("create database {name}")).await.context(
        "cannot make a database to restore into; make one yourself and name it with --into",
    )?;
    let outcome = prove(settings, backups, manifest, &address.database(&name)).await;
    execute(&mut beside, format!("drop database {name} with (force)")).await?;
    outcome
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
    let differences = quotas::differences(pool).await?;
    let mut broken: Vec<String> = differences
        .iter()
        .map(|it| {
            format!("{} {}: {} shows {}, should {}", it.of, it.id, it.counter, it.shows, it.should)
        })
        .collect();
    let books = quotas::violations(pool).await?.into_iter().chain(billing::violations(pool).await?);
    broken.extend(books.map(|it| format!("{}: {}: {}", it.rule, it.subject, it.detail)));
    output::line("the books: checked");
    let lines = usage::violations(pool).await?;
    broken
        .extend(lines.into_iter().map(|it| format!("{}: {}: {}", it.rule, it.subject, it.detail)));
    output::line("usage: checked");
    product.audit.seal().await?;
    let found = product.audit.verify(None).await?;
    broken.extend(found.breaks.into_iter().map(|it| format!("audit log: {}", it.what)));
    output::line(&format!("audit log: {} events checked", found.seals));
    Ok(broken)
}
