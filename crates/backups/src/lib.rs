//! Backups: the database dumped by `pg_dump`, encrypted, kept for a while, and restored to prove that it can be.
//!
//! A backup is two objects: the dump and, written after it, a manifest. What has no manifest is no backup.

mod archive;
mod config;
mod keep;
mod manifest;
mod personal_data;
mod record;
mod restore;
mod take;
mod tools;

use app::Module;
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use sqlx::postgres::PgConnectOptions;

pub use config::Config;
pub use manifest::{Backup, Manifest};
pub use record::Drill;

use archive::Archive;
use take::{Prune, Take};

/// Makes, lists and restores backups.
#[derive(Clone)]
pub struct Backups {
    db: Db,
    clock: Clock,
    /// Past any transaction pooler.
    address: PgConnectOptions,
    config: Config,
    archive: Option<Archive>,
}

impl Backups {
    /// Backups of the database at `address`, which is that of `db`. A bucket is reached as that of `files`.
    pub fn new(
        db: Db,
        clock: Clock,
        address: PgConnectOptions,
        config: &Config,
        files: &storage::Config,
    ) -> anyhow::Result<Self> {
        let archive = Archive::open(config, files)?;
        Ok(Self { db, clock, address, config: config.clone(), archive })
    }
}

/// Backups as a part of the product: by the clock, if there is a key.
pub fn module(backups: Backups) -> Module {
    let schedules = backups.archive.is_some().then(|| {
        [Schedule::cron(&backups.config.cron(), &Take {}), Schedule::cron("45 3 * * *", &Prune {})]
    });
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        schedules: schedules.into_iter().flatten().collect(),
        jobs: Registry::default().with::<Take>(backups.clone()).with::<Prune>(backups),
        ..Module::default()
    }
}
