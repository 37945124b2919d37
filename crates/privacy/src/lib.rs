//! People's right to a copy of what is kept about them, and to its end.

mod config;
mod deletions;
mod error;
mod exports;
mod personal_data;
mod subject;

use std::sync::Arc;

use app::{EventType, Module, PersonalData};
use audit::Audit;
use auth::Auth;
use chrono::TimeDelta;
use db::Db;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::Clock;
use secrecy::SecretString;
use storage::Storage;
use tokio::sync::Semaphore;

pub use config::Config;
pub use deletions::{Certificate, Deletion};
pub use error::{Error, Result};
pub use exports::{Export, ExportStatus};
pub use personal_data::PERSONAL_DATA;

use deletions::CarryOutDeletions;
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
    /// Who did what: it loses names, too.
    pub audit: Audit,
    /// Lets people in, and no longer.
    pub auth: Auth,
    /// The first signs certificates, all are believed.
    pub secrets: Arc<[SecretString]>,
    /// Tells people that something is ready.
    pub mailer: Mailer,
    /// How long backups last; `None`: none are made.
    pub backups_last: Option<TimeDelta>,
    /// What every table of the product keeps about whom.
    pub tables: Arc<[PersonalData]>,
    /// How long things last.
    pub config: Config,
    /// How many copies are made at once in this process.
    pub turns: Arc<Semaphore>,
}

/// What privacy tells of. It looks at what comes before it, and so does whoever tells of events.
pub fn events() -> Vec<EventType> {
    vec![EventType::of::<ExportReady>()]
}

/// Privacy as a part of the product. Its own tables are among [`Privacy::tables`] already.
pub fn module(privacy: Privacy) -> Module {
    Module {
        routes: exports::routes().merge(deletions::routes()).with_state(privacy.clone()),
        jobs: Registry::default()
            .with::<MakeExport>(privacy.clone())
            .with::<PurgeExports>(privacy.clone())
            .with::<CarryOutDeletions>(privacy),
        schedules: vec![
            Schedule::cron("5 * * * *", &PurgeExports {}),
            Schedule::cron("* * * * *", &CarryOutDeletions {}),
        ],
        personal_data: PERSONAL_DATA,
        events: events(),
        ..Module::default()
    }
}
