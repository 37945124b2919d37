//! Features that are on for some, and experiments that tell whether they should be on for all.

mod error;
mod experiments;
mod flag;
mod part;
mod personal_data;
mod routes;

use std::sync::Arc;

use app::Module;
use db::{Db, Remembered};
use jobs::{Registry, Schedule};
use kernel::Clock;
use uuid::{Uuid, uuid};
use web::Caller;

pub use error::{Error, Result};
pub use experiments::{Experiment, Variant};
pub use flag::Flag;

use experiments::EndExperiments;

/// What changes of flags are announced as, by a trigger of the database.
const FLAGS: Uuid = uuid!("0193c000-0000-7000-8000-00000000f1a6");
/// The same of experiments.
const EXPERIMENTS: Uuid = uuid!("0193c000-0000-7000-8000-000000e49e81");

/// Flags and experiments, in memory: asking for a flag costs nothing, to be exposed to an experiment one look-up. Every
/// instance hears of a change within a second.
#[derive(Clone)]
pub struct Flags {
    db: Db,
    clock: Clock,
    known: Arc<Remembered<Vec<Flag>>>,
    experiments: Arc<Remembered<Vec<Experiment>>>,
}

impl Flags {
    /// Those in `db`.
    pub fn new(db: Db, clock: Clock) -> Self {
        let known = Arc::new(Remembered::new(&db, FLAGS));
        let experiments = Arc::new(Remembered::new(&db, EXPERIMENTS));
        Self { db, clock, known, experiments }
    }

    /// Whether a feature is on for `caller`. One that does not exist, or cannot be read, is off.
    pub async fn is_on(&self, key: &str, caller: &Caller) -> bool {
        match self.all().await {
            Ok(all) => all.iter().any(|it| it.key == key && it.is_on(caller.org, caller.tier)),
            Err(error) => {
                tracing::warn!(%error, key, "flags cannot be read: it is off");
                false
            }
        }
    }

    async fn all(&self) -> sqlx::Result<Arc<Vec<Flag>>> {
        self.known.get(Flag::list(self.db.pool())).await
    }
}

/// Flags and experiments as a part of the product.
pub fn module(flags: Flags) -> Module {
    Module {
        routes: routes::routes().merge(experiments::routes()).with_state(flags.clone()),
        jobs: Registry::default().with::<EndExperiments>(flags),
        schedules: vec![Schedule::cron("5 * * * *", &EndExperiments {})],
        personal_data: personal_data::PERSONAL_DATA,
        ..Module::default()
    }
}
