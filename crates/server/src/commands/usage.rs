//! `slipway usage`.

use clap::Subcommand;

use crate::{Settings, database_address, output};

/// What to do with the roll-ups of usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Compare every line with the calls that it stands for. Fails if any differs.
    Verify,
    /// Make the lines of all calls that are kept anew. Lines of calls that were dropped stay.
    Rebuild,
}

/// Does it.
pub async fn run(settings: Settings, action: Action) -> anyhow::Result<()> {
    #[cfg(feature = "simulators")]
    let development = crate::Development::database_only(&settings).await?;
    #[cfg(feature = "simulators")]
    let embedded = development.database();
    #[cfg(not(feature = "simulators"))]
    let embedded = None;
    let pool = settings.db.migration_pool(database_address(&settings, embedded)?);
    if action == Action::Rebuild {
        let mut tx = pool.begin().await?;
        let lines = usage::rebuild(&mut tx).await?;
        tx.commit().await?;
        output::line(&format!("{lines} lines were made."));
    }
    let wrong = usage::violations(&pool).await?;
    for usage::Violation { rule, subject, detail } in &wrong {
        output::line(&format!("{rule}: {subject}: {detail}"));
    }
    pool.close().await;
    #[cfg(feature = "simulators")]
    development.stop().await?;
    anyhow::ensure!(wrong.is_empty(), "the roll-ups are wrong: see above");
    output::line("Every line is the sum of its calls.");
    Ok(())
}
