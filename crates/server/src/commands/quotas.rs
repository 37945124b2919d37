//! `slipway quotas`.

use clap::Subcommand;

use crate::{Settings, database_address, output};

/// What to do with the counters of budgets and credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Compute every counter again from the ledger, the usage records and the calls in flight, and
    /// show those that differ. Fails if any does.
    Verify,
    /// The same, and set them right. Calls wait meanwhile.
    Rebuild {
        /// Only show what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
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
    let mut tx = pool.begin().await?;
    let rebuild = matches!(action, Action::Rebuild { dry_run: false });
    let differences = if rebuild {
        quotas::rebuild(&mut tx).await?
    } else {
        quotas::differences(&mut *tx).await?
    };
    tx.commit().await?;
    for it in &differences {
        let quotas::Difference { of, id, counter, shows, should } = it;
        output::line(&format!("{of} {id}: {counter} shows {shows}, should {should}"));
    }
    let broken = quotas::violations(&pool).await?;
    for quotas::Violation { rule, subject, detail } in &broken {
        output::line(&format!("{rule}: {subject}: {detail}"));
    }
    pool.close().await;
    #[cfg(feature = "simulators")]
    development.stop().await?;
    if differences.is_empty() && broken.is_empty() {
        output::line("The books are right.");
    }
    let right = broken.is_empty() && (differences.is_empty() || action != Action::Verify);
    anyhow::ensure!(right, "the books are wrong: see above");
    Ok(())
}
