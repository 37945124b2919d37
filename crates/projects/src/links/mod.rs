//! Links with which anybody reads a project, without an account.

mod link;
mod routes;

pub(crate) use link::ProjectLink;
pub(crate) use routes::routes;
