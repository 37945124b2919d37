//! Who did what: one append-only log of customers, operators and the product itself.
//!
//! An [`Entry`] is written in the transaction of the change that it tells of, so that neither is
//! there without the other. Nothing in it is secret: no passwords, keys, tokens or prompts.

mod chain;
mod config;
mod entry;
mod event;
mod origin;
mod personal_data;
mod redaction;
mod retention;
mod routes;

use std::sync::Arc;

use app::Module;
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use secrecy::SecretString;

pub use chain::{Break, Verification};
pub use config::Config;
pub use entry::Entry;
pub use event::{Event, EventQuery};
pub use origin::{Actor, Origin};
pub use redaction::{Redacted, Redaction};

/// The log: to be read, sealed and verified.
#[derive(Clone)]
pub struct Audit {
    db: Db,
    clock: Clock,
    /// The newest first, which seals; all are believed.
    secrets: Arc<[SecretString]>,
    retention_months: u32,
}

impl Audit {
    /// The log, sealed with the first of `secrets`.
    pub fn new(
        db: Db,
        clock: Clock,
        secrets: impl IntoIterator<Item = SecretString>,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let secrets: Arc<[SecretString]> = secrets.into_iter().collect();
        anyhow::ensure!(!secrets.is_empty(), "AUTH_SECRET is not set");
        Ok(Self { db, clock, secrets, retention_months: config.audit_retention_months })
    }

    fn secret(&self) -> &SecretString {
        &self.secrets[0]
    }
}

/// The log as a part of the product.
pub fn module(audit: Audit) -> Module {
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes::routes().with_state(audit.db.clone()),
        jobs: Registry::default()
            .with::<chain::SealEvents>(audit.clone())
            .with::<retention::DropOldEvents>(audit),
        schedules: vec![
            Schedule::cron("* * * * *", &chain::SealEvents {}),
            Schedule::cron("45 2 * * *", &retention::DropOldEvents {}),
        ],
        ..Module::default()
    }
}
