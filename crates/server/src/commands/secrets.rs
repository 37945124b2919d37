//! `slipway secrets`.

use clap::Subcommand;

use crate::{Development, Settings, database_address, output};

/// What to do with secrets that are kept sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Seal them with the present `AUTH_SECRET`, so that `AUTH_SECRET_PREVIOUS` can be removed.
    Reseal,
}

/// Does it.
pub async fn run(mut settings: Settings, action: Action) -> anyhow::Result<()> {
    let Action::Reseal = action;
    let development = Development::beside(&mut settings).await?;
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    let mut done = auth::reseal(&pool, &settings.auth).await?;
    done += webhooks::reseal(&pool, settings.auth.secrets()).await?;
    let sealing::Resealed { resealed, current, lost } = done;
    pool.close().await;
    development.stop().await?;
    output::line(&format!("{resealed} secrets were sealed anew, {current} were up to date."));
    anyhow::ensure!(
        lost == 0,
        "{lost} secrets open with neither AUTH_SECRET nor AUTH_SECRET_PREVIOUS"
    );
    Ok(())
}
