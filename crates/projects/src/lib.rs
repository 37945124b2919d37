//! An example domain: copy this crate to start your own.

mod error;
mod project;
mod routes;

use app::Module;
use db::Db;
use kernel::Clock;

pub use error::{Error, Result};
pub use project::Project;

/// What projects add to the application.
pub fn module(projects: Projects) -> Module {
    Module { routes: routes::routes().with_state(projects), ..Module::default() }
}

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct Projects {
    /// Where projects are kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
}
