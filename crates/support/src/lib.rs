//! Tickets, feedback, announcements, what people are told in the product, and their first steps in it.

mod config;
mod error;
mod feedback;
mod notifications;
mod onboarding;
mod personal_data;
mod purge;
mod text;
mod tickets;
mod webhook_events;

use std::sync::Arc;

use app::{EventType, Module, OnboardingStep};
use db::Db;
use egress::Egress;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::Clock;
use rate_limit::Durable;
use tokio::sync::Semaphore;

pub use config::Config;
pub use error::{Error, Result};
pub use onboarding::GOAL;

use notifications::Announce;
use purge::PurgeSupport;
use tickets::Deliver;
use webhook_events::TicketAnswered;

/// What this feature needs.
#[derive(Clone)]
pub struct Support {
    /// Where it is kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Mails tickets, answers and announcements.
    pub mailer: Mailer,
    /// Calls the program that takes tickets.
    pub egress: Egress,
    /// How much one person may write.
    pub limits: Durable,
    /// By which steps people get to know the product.
    pub steps: Arc<[OnboardingStep]>,
    /// Who may follow their notifications at the same time.
    pub followers: Arc<Semaphore>,
    /// Who is told of tickets, and how long things last.
    pub config: Config,
}

/// What support tells customers' programs of. It looks at what comes before it, and so does whoever tells of events.
pub fn events() -> Vec<EventType> {
    vec![EventType::of::<TicketAnswered>()]
}

/// Support as a part of the product.
pub fn module(support: Support) -> Module {
    let routes = tickets::routes()
        .merge(feedback::routes())
        .merge(notifications::routes())
        .merge(onboarding::routes());
    Module {
        routes: routes.with_state(support.clone()),
        jobs: Registry::default()
            .with::<Deliver>(support.clone())
            .with::<Announce>(support.clone())
            .with::<PurgeSupport>(support),
        schedules: vec![Schedule::cron("20 3 * * *", &PurgeSupport {})],
        events: events(),
        personal_data: personal_data::PERSONAL_DATA,
        ..Module::default()
    }
}
