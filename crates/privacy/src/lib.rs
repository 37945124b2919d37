//! People's right to a copy of what is kept about them.

mod config;
mod error;
mod exports;
mod personal_data;
mod subject;

use std::sync::Arc;

use app::{EventType, Module, PersonalData};
use db::Db;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::Clock;
use storage::Storage;
use tokio::sync::Semaphore;

pub use config::Config;
pub use error::{Error, Result};
pub use exports::{Export, ExportStatus};
pub use personal_data::PERSONAL_DATA;

use exports::{ExportReady, MakeExport, PurgeExports};

/// What privacy needs.
#[derive(Clone)]
pub struct Privacy {
    /// Where everything is kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Where archives are kept, and the files that are copied.
    pub storage: Storage,
    /// Tells people that something is ready.
    pub mailer: Mailer,
    /// What every table of the product keeps about whom.
    pub tables: Arc<[PersonalData]>,
    /// How long things last.
    pub config: Config,
    /// How many copies are made at once in this process.
    pub turns: Arc<Semaphore>,
}

/// Privacy as a part of the product. Its own tables are among [`Privacy::tables`] already.
pub fn module(privacy: Privacy) -> Module {
    Module {
        routes: exports::routes().with_state(privacy.clone()),
        jobs: Registry::default().with::<MakeExport>(privacy.clone()).with::<PurgeExports>(privacy),
        schedules: vec![Schedule::cron("5 * * * *", &PurgeExports {})],
        personal_data: PERSONAL_DATA,
        events: vec![EventType::of::<ExportReady>()],
        ..Module::default()
    }
}
