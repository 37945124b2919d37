//! The people of an org.

mod change;
mod member;
mod routes;

pub(super) use member::Member;
pub(super) use routes::routes;
