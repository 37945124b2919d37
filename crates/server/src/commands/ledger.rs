//! `slipway ledger`.

use clap::Subcommand;
use kernel::Clock;
use quotas::{Difference, Month, Violation};

use crate::{Development, Settings, database_address, output};

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
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    let outcome = act(&pool, action).await;
    pool.close().await;
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
            for it in &differences {
                output::line(&line(it));
            }
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
    let broken = broken(pool).await?;
    for line in &broken {
        output::line(line);
    }
    anyhow::ensure!(broken.is_empty(), "the books are wrong: see above");
    output::line("The books are right.");
    Ok(())
}

/// Every counter and every rule of the books that is wrong, a line each.
pub(crate) async fn broken(pool: &sqlx::PgPool) -> anyhow::Result<Vec<String>> {
    let mut broken: Vec<_> = quotas::differences(pool).await?.iter().map(line).collect();
    let rules = quotas::violations(pool).await?.into_iter().chain(billing::violations(pool).await?);
    let rule = |Violation { rule, subject, detail }| format!("{rule}: {subject}: {detail}");
    broken.extend(rules.map(rule));
    Ok(broken)
}

fn line(Difference { of, id, counter, shows, should }: &Difference) -> String {
    format!("{of} {id}: {counter} shows {shows}, should {should}")
}
