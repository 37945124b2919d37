//! What happens in an org, told to its own programs: signed, tried again, kept in order of nothing but time.
//!
//! [`emit`] writes an event down in the transaction of what it tells of, if anybody listens. From there on
//! it is at least once: a job makes a delivery for each endpoint, and each endpoint has a lane of its own,
//! so that one which is slow or dead delays nobody else.

mod attempt;
mod backoff;
mod config;
mod delivery;
mod dispatch;
mod emit;
mod endpoint;
mod error;
mod health;
mod input;
mod lane;
mod log;
mod log_routes;
mod manage;
mod markdown;
mod notice;
mod personal_data;
mod plan;
mod replay;
mod reseal;
mod retention;
mod room;
mod routes;
mod secret;
mod sweep;
mod test_event;

use std::{sync::Arc, time::Duration};

use app::{EventType, Module};
use db::Db;
use egress::Egress;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::Clock;
use sealing::Sealer;
use secrecy::SecretString;

pub use config::Config;
pub use emit::emit;
pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use markdown::markdown;
pub use reseal::reseal;
pub use secret::{Secret, headers, signature};

use room::Room;
use test_event::TestEvent;

/// Endpoints and what is delivered to them.
#[derive(Clone)]
pub struct Webhooks {
    db: Db,
    clock: Clock,
    egress: Egress,
    mailer: Mailer,
    sealer: Sealer,
    types: Arc<[EventType]>,
    config: Config,
    room: Room,
    /// How long a job may go on after its worker was told to stop.
    grace: Duration,
}

impl Webhooks {
    /// Endpoints that can be told of `types` and tests. Of `jobs` that a process runs at the same time, deliveries
    /// take no more than three quarters, unless it runs but one; at shutdown each has `grace` to end.
    pub fn new<'a>(
        (db, clock): (Db, Clock),
        (egress, mailer): (Egress, Mailer),
        secrets: impl IntoIterator<Item = &'a SecretString>,
        mut types: Vec<EventType>,
        config: &Config,
        (jobs, grace): (u16, Duration),
    ) -> anyhow::Result<Self> {
        types.push(EventType::of::<TestEvent>());
        types.sort_by_key(|it| it.name);
        for pair in types.windows(2) {
            anyhow::ensure!(pair[0].name != pair[1].name, "{} is declared twice", pair[0].name);
        }
        Ok(Self {
            db,
            clock,
            egress,
            mailer,
            sealer: sealer(secrets)?,
            types: types.into(),
            config: config.clone(),
            room: Room::of(jobs),
            grace,
        })
    }

    /// Every type that endpoints can be told of, by name.
    pub fn types(&self) -> &[EventType] {
        &self.types
    }
}

fn sealer<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> anyhow::Result<Sealer> {
    Sealer::new(secrets, "slipway webhook secrets")
}

/// What webhooks add to the application.
pub fn module(webhooks: Webhooks) -> Module {
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        jobs: Registry::default()
            .with::<dispatch::Dispatch>(webhooks.clone())
            .with::<lane::Deliver>(webhooks.clone())
            .with::<sweep::Sweep>(webhooks.clone())
            .with::<retention::DropOldEvents>(webhooks.clone()),
        schedules: vec![
            Schedule::cron("* * * * *", &sweep::Sweep {}),
            Schedule::cron("15 3 * * *", &retention::DropOldEvents {}),
        ],
        routes: routes::routes().merge(log_routes::routes()).with_state(webhooks),
        ..Module::default()
    }
}
