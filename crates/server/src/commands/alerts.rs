//! `slipway alerts`.

use anyhow::ensure;
use clap::Subcommand;
use kernel::Clock;

use crate::{Development, Product, Settings, database_address, output};

/// What to do with alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Send a test alert by every channel that is set up, and say whether it was taken.
    Test,
}

/// Does it.
pub async fn run(settings: Settings, action: Action) -> anyhow::Result<()> {
    let Action::Test = action;
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    let product = Product::compose(&settings.for_nobody(), pool.clone(), Clock::System)?;
    let outcome = test(&product.alerts).await;
    pool.close().await;
    development.stop().await?;
    outcome
}

async fn test(alerts: &alerts::Alerts) -> anyhow::Result<()> {
    let trials = alerts.try_channels().await?;
    ensure!(
        !trials.is_empty(),
        "nobody would be told: set ALERT_EMAILS, ALERT_SLACK_URL or ALERT_WEBHOOK_URL"
    );
    for trial in &trials {
        let outcome = match (&trial.error, trial.channel.as_str()) {
            (Some(error), _) => error.as_str(),
            (None, "email") => "queued; a worker sends it",
            (None, _) => "taken",
        };
        output::line(&format!("{:<8} {outcome}", trial.channel));
    }
    ensure!(trials.iter().all(|trial| trial.delivered), "not every channel took it");
    Ok(())
}
