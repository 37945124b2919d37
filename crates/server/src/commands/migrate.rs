//! `slipway migrate`.

use clap::Subcommand;

use crate::{Development, Settings, database_address, output, prepare_database};

/// What to do with the schema.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Apply what is pending. Instances that do so at once take turns.
    Up,
    /// Revert every migration with a number above TARGET.
    Down {
        /// The number of the last migration to keep; 0 reverts all.
        target: i64,
    },
    /// Show every migration and when it was applied.
    Status,
}

/// Changes or shows the schema.
pub async fn run(settings: Settings, action: Action) -> anyhow::Result<()> {
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    match action {
        Action::Up => prepare_database(&pool, kernel::Clock::System.now()).await?,
        Action::Down { target } => db::migrate_down(&pool, target).await?,
        Action::Status => {
            let mut connection = pool.acquire().await?;
            for migration in db::migration_status(&mut connection).await? {
                let applied =
                    migration.applied_at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
                let applied = applied.unwrap_or_else(|| "pending".to_owned());
                output::line(&format!(
                    "{:04} {:<12} {applied}",
                    migration.version, migration.description
                ));
            }
        }
    }
    pool.close().await;
    development.stop().await?;
    Ok(())
}
