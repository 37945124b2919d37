//! An example domain: copy this crate to start your own.

mod bulk;
mod config;
mod draft;
mod error;
mod exports;
mod links;
mod list;
mod name;
mod onboarding;
mod personal_data;
mod project;
mod purge;
mod routes;
mod search;
mod versions;
mod webhook_events;

use ai::Ai;
use app::{EventType, Module};
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use org_jobs::{Handler, OrgJobs};
use storage::Storage;
use url::Url;

pub use config::Config;
pub use error::{Error, Result};
pub use project::Project;

use draft::Draft;
use exports::{MakeProjectExport, PurgeProjectExports};
use purge::PurgeProjects;
use webhook_events::ProjectCreated;

/// What projects need.
#[derive(Clone)]
pub struct Projects {
    /// Where they are kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Writes drafts.
    pub ai: Ai,
    /// Where long work is queued.
    pub jobs: OrgJobs,
    /// Where archives are kept.
    pub storage: Storage,
    /// Where links lead.
    pub app_url: Url,
    /// How long things last.
    pub config: Config,
}

/// What projects add to the application.
pub fn module(projects: Projects) -> Module {
    let routes = routes::routes()
        .merge(draft::routes())
        .merge(versions::routes())
        .merge(links::routes())
        .merge(exports::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(projects.clone()),
        jobs: Registry::default()
            .with::<PurgeProjects>(projects.clone())
            .with::<PurgeProjectExports>(projects),
        schedules: vec![
            Schedule::cron("17 3 * * *", &PurgeProjects {}),
            Schedule::cron("7 * * * *", &PurgeProjectExports {}),
        ],
        events: vec![EventType::of::<ProjectCreated>()],
        onboarding: onboarding::ONBOARDING,
        ..Module::default()
    }
}

/// What models are told for projects. Operators may change it.
pub const PROMPTS: &[ai::Prompt] = &[draft::WRITER];

/// The long work of projects, for [`org_jobs::module`].
pub fn work(projects: &Projects) -> Vec<Handler> {
    vec![
        Handler::new::<Draft>(projects.clone()),
        Handler::new::<MakeProjectExport>(projects.clone()),
    ]
}
