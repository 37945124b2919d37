//! What people have models make: in steps, from templates, as personas, in conversations.

mod config;
mod conversations;
mod creations;
mod personal_data;
mod personas;
mod preferences;
mod purge;
mod templates;
mod text;

use ai::Ai;
use app::Module;
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use org_jobs::{Handler, OrgJobs};
use web::{Permission, Routes};

pub use config::Config;

use creations::Make;
use purge::PurgeStudio;

pub(crate) const READ: Permission = Permission::read("studio:read");
pub(crate) const WRITE: Permission = Permission::write("studio:write");

/// What it needs.
#[derive(Clone)]
pub struct Studio {
    /// Where everything is kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Who answers.
    pub ai: Ai,
    /// Where long work is queued.
    pub jobs: OrgJobs,
    /// How long things are kept.
    pub config: Config,
}

/// What models are told. Operators may change it.
pub const PROMPTS: &[ai::Prompt] = &[creations::PLANNER, creations::WRITER, conversations::TALKER];

/// What it adds to the application.
pub fn module(studio: Studio) -> Module {
    let routes = Routes::new()
        .merge(creations::routes())
        .merge(templates::routes())
        .merge(personas::routes())
        .merge(conversations::routes())
        .merge(preferences::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(studio.clone()),
        jobs: Registry::default().with::<PurgeStudio>(studio),
        schedules: vec![Schedule::cron("*/10 * * * *", &PurgeStudio {})],
        ..Module::default()
    }
}

/// Its long work, for [`org_jobs::module`].
pub fn work(studio: &Studio) -> Vec<Handler> {
    vec![Handler::new::<Make>(studio.clone())]
}
