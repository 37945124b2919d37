//! `slipway usage`.

use clap::Subcommand;

use crate::{Development, Settings, database_address, output};

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
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    if action == Action::Rebuild {
        let mut tx = pool.begin().await?;
        let lines = usage::rebuild(&mut tx).await?;
        tx.commit().await?;
        output::line(&format!("{lines} lines were made."));
    }
    let wrong = broken(&pool).await?;
    for line in &wrong {
        output::line(line);
    }
    pool.close().await;
    development.stop().await?;
    anyhow::ensure!(wrong.is_empty(), "the roll-ups are wrong: see above");
    output::line("Every line is the sum of its calls.");
    Ok(())
}

/// Every line of usage that is not the sum of its calls.
pub(crate) async fn broken(pool: &sqlx::PgPool) -> anyhow::Result<Vec<String>> {
    let wrong = usage::violations(pool).await?.into_iter();
    let line = |usage::Violation { rule, subject, detail }| format!("{rule}: {subject}: {detail}");
    Ok(wrong.map(line).collect())
}
