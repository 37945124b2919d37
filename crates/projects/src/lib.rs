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
pub fn work(projects: &Projects) -> Vec<Handler> {
    vec![Handler::new::<draft::Draft>(projects.clone())]
}

/// What the handlers need.
#[derive(Clone)]
pub struct Projects {
    db: Db,
    clock: Clock,
    ai: Ai,
    jobs: OrgJobs,
}

impl Projects {
    /// Projects that are kept in `db`; `ai` writes their drafts, which are queued in `jobs`.
    pub fn new(db: &Db, clock: &Clock, ai: &Ai, jobs: &OrgJobs) -> Self {
        Self { db: db.clone(), clock: clock.clone(), ai: ai.clone(), jobs: jobs.clone() }
    }
}
