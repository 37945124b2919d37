use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{
    PgConnection, PgPool,
    migrate::{Migrate, MigrateError, Migrator},
};

/// Every migration of the workspace. Tests apply the same set.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// One migration and when it was applied here.
#[derive(Debug)]
pub struct MigrationStatus {
    /// Its number, the order of application.
    pub version: i64,
    /// The words of its file name.
    pub description: String,
    /// `None`: pending.
    pub applied_at: Option<DateTime<Utc>>,
}

/// Applies what is pending. Instances that start together take turns on an advisory lock.
///
/// Migrations that only a newer release knows are fine: an instance of the older one may restart in
/// the middle of a rolling deploy.
pub async fn migrate_up(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrator.set_ignore_missing(true).run(pool).await
}

/// Reverts every migration with a number above `target`.
pub async fn migrate_down(pool: &PgPool, target: i64) -> Result<(), MigrateError> {
    MIGRATOR.undo(pool, target).await
}

/// Every migration that this program knows, in order.
pub async fn migration_status(db: &mut PgConnection) -> Result<Vec<MigrationStatus>, MigrateError> {
    db.ensure_migrations_table("_sqlx_migrations").await?;
    let applied: HashMap<i64, DateTime<Utc>> =
        sqlx::query_as("select version, installed_on from _sqlx_migrations where success")
            .fetch_all(&mut *db)
            .await?
            .into_iter()
            .collect();
    Ok(MIGRATOR
        .iter()
        .filter(|migration| migration.migration_type.is_up_migration())
        .map(|migration| MigrationStatus {
            version: migration.version,
            description: migration.description.to_string(),
            applied_at: applied.get(&migration.version).copied(),
        })
        .collect())
}
