//! What somebody and a model say to each other.

mod conversation;
mod message;
mod routes;

pub(crate) use message::TALKER;
pub(crate) use routes::routes;
