//! One effect per `Idempotency-Key`: a request that is repeated is answered, not done again.
//!
//! [`guard`] is a layer over every `POST` that needs a caller. It runs such a request in a task of
//! its own, so that a client that leaves interrupts nothing, and keeps the answer for a day.
//!
//! After a crash the lease of the attempt runs out, and what happens then depends on what the
//! attempt had committed, which [`db::with_preamble`] recorded in the same transaction: nothing, and the
//! repetition runs; something, and it is told that the answer was lost. So there is one effect
//! whatever happens. Operations that continue where they stopped ([`web::Access::resumable`])
//! always run again, and those that charge write that down first ([`take_effect`]).

mod answer;
mod attempt;
mod current;
mod key;
mod layer;
mod personal_data;
mod purge;
mod record;
mod recording;
mod running;
mod seal;

use std::{sync::Arc, time::Duration};

use app::Module;
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use secrecy::SecretString;
use tokio_util::task::TaskTracker;

pub use current::{carry, take_effect};
pub use layer::guard;

use attempt::Attempt;
use purge::PurgeIdempotencyKeys;
use running::Running;

/// What this feature needs.
#[derive(Clone, Debug)]
pub struct Idempotency {
    db: Db,
    clock: Clock,
    /// Answers are encrypted with the first, and read with any.
    secrets: Arc<[SecretString]>,
    /// How long an operation that keeps its own time may take.
    longest: Duration,
    /// Streams that this instance is telling.
    running: Running,
    /// Requests in flight: they end by themselves, not with their connection.
    tasks: TaskTracker,
}

impl Idempotency {
    /// Keeps answers in `db`. `secrets` are the newest and older `AUTH_SECRET`s; `longest` is how
    /// long an operation that keeps its own time may take.
    pub fn new(
        db: Db,
        clock: Clock,
        secrets: impl IntoIterator<Item = SecretString>,
        longest: Duration,
    ) -> Self {
        let secrets = secrets.into_iter().collect();
        Self { db, clock, secrets, longest, running: Running::default(), tasks: TaskTracker::new() }
    }

    /// Waits until every request in flight has its answer. No new one may be started then.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The housekeeping. The rest is middleware: see [`guard`].
pub fn module(idempotency: Idempotency) -> Module {
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        jobs: Registry::default().with::<PurgeIdempotencyKeys>(idempotency),
        schedules: vec![Schedule::cron("23 * * * *", &PurgeIdempotencyKeys)],
        ..Module::default()
    }
}
