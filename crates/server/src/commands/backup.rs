//! `slipway backup` and `slipway restore`.

use anyhow::Context;
use backups::{Backups, Manifest};
use clap::Subcommand;
use db::Db;
use kernel::{Clock, Id};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::{Development, Settings, database_address, output};

/// What to do with backups.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Without one, a backup is made now.
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
enum Action {
    /// Show every backup, the newest first. Needs the store and no database.
    List,
    /// Read a backup to its end and decrypt it, to see whether it is whole.
    Check {
        /// Which; without it the newest.
        id: Option<Uuid>,
    },
    /// Forget backups that are too old, as every scheduled backup does.
    Prune,
}

/// What to restore.
#[derive(Clone, Debug, clap::Args)]
pub struct Restore {
    /// Which backup; without it the newest.
    id: Option<Uuid>,

    /// An empty database: `postgres://user:password@host/name`.
    #[arg(long)]
    into: PgConnectOptions,
}

/// Does it.
pub async fn run(settings: Settings, options: Options) -> anyhow::Result<()> {
    if let Some(action @ (Action::List | Action::Check { .. })) = options.action {
        // These ask the store alone: the database may be the one that is lost.
        return act(&of(&settings, PgConnectOptions::new())?, Some(action)).await;
    }
    let development = Development::database_only(&settings).await?;
    let backups = of(&settings, database_address(&settings, development.database())?)?;
    let outcome = act(&backups, options.action).await;
    development.stop().await?;
    outcome
}

/// Fills an empty database with a backup.
pub async fn restore(settings: Settings, options: Restore) -> anyhow::Result<()> {
    // The database of the settings may be the one that is lost; it is not asked.
    let backups = of(&settings, options.into.clone())?;
    let manifest = backups.find(options.id.map(Id::from)).await?;
    backups.restore(&manifest, &options.into).await?;
    let Manifest { id, started_at, .. } = manifest;
    output::line(&format!("Restored {id}: everything that was committed by {started_at:.0}."));
    output::line("Next: `slipway migrate up`, then start Slipway with DATABASE_URL set to it.");
    Ok(())
}

/// The backups of the database at `address`.
pub(crate) fn of(settings: &Settings, address: PgConnectOptions) -> anyhow::Result<Backups> {
    let db = Db::new(settings.db.migration_pool(address.clone()));
    let address = settings.db.direct_address().unwrap_or(address);
    Backups::new(db, Clock::System, address, &settings.backups, &settings.storage)
}

async fn act(backups: &Backups, action: Option<Action>) -> anyhow::Result<()> {
    match action {
        None => show(&backups.take().await?),
        Some(Action::List) => backups.list().await?.iter().for_each(show),
        Some(Action::Check { id }) => {
            let manifest = backups.find(id.map(Id::from)).await?;
            backups.check(&manifest).await.context("this backup cannot be used")?;
            output::line(&format!("{} is whole and opens.", manifest.id));
        }
        Some(Action::Prune) => {
            output::line(&format!("{} were forgotten.", backups.prune().await?));
        }
    }
    Ok(())
}

fn show(Manifest { id, started_at, bytes, postgres, migration, .. }: &Manifest) {
    let at = started_at.format("%Y-%m-%d %H:%M:%S UTC");
    let text =
        format!("{id}  {at}  {bytes:>12} bytes  PostgreSQL {postgres}  schema {migration:04}");
    output::line(&text);
}
