//! What people have agreed to: versions of policies, and uses of their data.

mod acceptance;
mod decision;
mod error;
mod personal_data;
mod policy;
mod routes;

use app::Module;
use db::Db;
use kernel::Clock;

pub use decision::Purpose;
pub use error::{Error, Result};
pub use policy::{Policy, PolicyKind};

/// Where agreements are kept.
#[derive(Clone)]
pub struct Consent {
    /// The database.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
}

/// Agreements as a part of the product.
pub fn module(consent: Consent) -> Module {
    Module {
        routes: routes::routes().with_state(consent),
        personal_data: personal_data::PERSONAL_DATA,
        ..Module::default()
    }
}
