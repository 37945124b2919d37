//! An example domain: copy this crate to start your own.

mod draft;
mod error;
mod personal_data;
mod project;
mod routes;

use ai::Ai;
use app::Module;
use db::Db;
use kernel::Clock;
use org_jobs::{Handler, OrgJobs};

pub use error::{Error, Result};
pub use project::Project;

/// What projects add to the application.
pub fn module(projects: Projects) -> Module {
    let routes = routes::routes().merge(draft::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(projects),
        ..Module::default()
    }
}

/// The long work of projects, for [`org_jobs::module`].
pub fn work(projects: &Projects) -> [Handler; 1] {
    [Handler::new::<draft::Draft>(projects.clone())]
}

/// What the handlers need.
#[derive(Clone)]
pub struct Projects {
    /// Where projects are kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Who writes drafts.
    pub ai: Ai,
    /// Where drafts are queued.
    pub jobs: OrgJobs,
}
