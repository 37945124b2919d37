//! Tells the people who run the product that something is wrong: once, again after a while, and when it is over.
//!
//! A [`Rule`] measures something and says from when on it is too much. All are looked at once a minute, by one of
//! the workers; what is told goes out by jobs, so that a channel that fails is tried again and holds up no other.

mod alert;
mod answers;
mod channel;
mod config;
mod deliver;
mod evaluate;
mod markdown;
mod measures;
mod notice;
mod personal_data;
mod routes;
mod rule;
mod rules;
mod silence;
mod silence_routes;
mod trial;

use std::sync::Arc;

use app::Module;
use db::Db;
use egress::Egress;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::Clock;

pub use config::Config;
pub use markdown::rules_table;
pub use rule::{Limit, Measure, Rule};
pub use rules::standard;
pub use trial::Trial;

use deliver::Deliver;
use evaluate::{Evaluate, Purge};

/// What is watched, and how it is told. Copies share it.
#[derive(Clone)]
pub struct Alerts(Arc<Inner>);

/// The parts of [`Alerts`].
pub struct Inner {
    db: Db,
    clock: Clock,
    mailer: Mailer,
    egress: Egress,
    config: Config,
    rules: Vec<Rule>,
}

impl Alerts {
    /// Watches `rules`, and tells as `config` says.
    pub fn new(
        db: Db,
        clock: Clock,
        mailer: Mailer,
        egress: Egress,
        config: &Config,
        rules: Vec<Rule>,
    ) -> Self {
        Self(Arc::new(Inner { db, clock, mailer, egress, config: config.clone(), rules }))
    }
}

impl std::ops::Deref for Alerts {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Alerts as a part of the product.
pub fn module(alerts: Alerts) -> Module {
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes::routes().merge(silence_routes::routes()).with_state(alerts.clone()),
        jobs: Registry::default()
            .with::<Evaluate>(alerts.clone())
            .with::<Deliver>(alerts.clone())
            .with::<Purge>(alerts),
        schedules: vec![
            Schedule::cron("* * * * *", &Evaluate {}),
            Schedule::cron("50 3 * * *", &Purge {}),
        ],
        ..Module::default()
    }
}
