//! `slipway catalogue`.

use std::path::PathBuf;

use clap::Subcommand;
use kernel::Clock;

use crate::{Development, Product, Role, Settings, database_address, output, prepare_database};

/// What to do with the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Publish the catalogue's file, if it is new, and make Stripe's products and prices what the
    /// catalogue in force says. Running it again changes nothing. A changed price becomes a new one:
    /// existing subscriptions keep theirs.
    Sync {
        /// The file (TOML); without it the one that the program was built with.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Only show what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does it.
pub async fn run(mut settings: Settings, action: Action) -> anyhow::Result<()> {
    let Action::Sync { file, dry_run } = action;
    let file = file.map(std::fs::read_to_string).transpose()?;
    // As a worker does, in development it uses the simulators beside a running API.
    settings.roles = vec![Role::Worker];
    let development = Development::start(&mut settings, false).await?;
    let pool = settings.db.pool(database_address(&settings, development.database())?);
    prepare_database(&pool, Clock::System.now()).await?;
    let product = Product::compose(&settings.for_nobody(), pool.clone(), Clock::System)?;
    let differences = product.billing.sync_catalogue(file.as_deref(), dry_run).await;
    pool.close().await;
    development.stop().await?;
    let differences = differences?;
    for difference in &differences {
        output::line(&difference.to_string());
    }
    match (differences.len(), dry_run) {
        (0, _) => output::line("Stripe has what the catalogue says."),
        (count, true) => output::line(&format!("{count} differences; nothing was changed.")),
        (count, false) => output::line(&format!("{count} differences, all resolved.")),
    }
    Ok(())
}
