//! `slipway ledger`.

use clap::Subcommand;
use kernel::Clock;
use quotas::{Difference, Month, Violation};

use crate::{Settings, database_address, output};

/// What to do with the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Check every rule of the books, of credits and of money, and compute every counter of budgets and
    /// credits again from the ledger, the usage records and the calls in flight. Fails if anything is wrong.
    Verify,
    /// Set every counter right that `verify` finds wrong. Calls wait meanwhile.
    Rebuild {
        /// Only show what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write a month's books down, for good; without a month the last one.
    Close {
        /// Such as 2026-11.
        #[arg(value_parser = parse)]
        month: Option<Month>,
    },
    /// Print a closed month's books as CSV; without a month the last one's.
    Export {
        /// Such as 2026-11.
        #[arg(value_parser = parse)]
        month: Option<Month>,
    },
}

fn parse(text: &str) -> Result<Month, String> {
    Month::parse(text).ok_or_else(|| "months look like 2026-11".to_owned())
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
    let outcome = act(&pool, action).await;
    pool.close().await;
    #[cfg(feature = "simulators")]
    development.stop().await?;
    outcome
}

async fn act(pool: &sqlx::PgPool, action: Action) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let now = Clock::System.now();
    let last = Month::before(now);
    match action {
        Action::Verify => return verify(pool).await,
        Action::Rebuild { dry_run } => {
            let differences = if dry_run {
                quotas::differences(&mut *tx).await?
            } else {
                quotas::rebuild(&mut tx).await?
            };
            show(&differences);
        }
        Action::Close { month } => {
            let month = month.unwrap_or(last);
            month.close(&mut tx, now).await?;
            output::line(&format!("{month} is closed."));
        }
        Action::Export { month } => {
            output::text(&month.unwrap_or(last).export(&mut *tx).await?);
        }
    }
    Ok(tx.commit().await?)
}

async fn verify(pool: &sqlx::PgPool) -> anyhow::Result<()> {
    let differences = quotas::differences(pool).await?;
    show(&differences);
    let mut broken = quotas::violations(pool).await?;
    broken.extend(billing::violations(pool).await?);
    for Violation { rule, subject, detail } in &broken {
        output::line(&format!("{rule}: {subject}: {detail}"));
    }
    anyhow::ensure!(broken.is_empty() && differences.is_empty(), "the books are wrong: see above");
    output::line("The books are right.");
    Ok(())
}

fn show(differences: &[Difference]) {
    for Difference { of, id, counter, shows, should } in differences {
        output::line(&format!("{of} {id}: {counter} shows {shows}, should {should}"));
    }
}
