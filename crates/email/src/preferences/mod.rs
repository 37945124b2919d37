//! What a person wants to read, and in which language.

mod category;
mod person;
mod routes;

pub use category::Category;
pub(crate) use person::Preferences;
pub(crate) use routes::routes;
