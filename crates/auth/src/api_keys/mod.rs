//! What programs prove with who they are.

pub(crate) mod api_key;
mod key_ring;
mod routes;

pub use api_key::{ApiKey, NewApiKey};
pub(crate) use routes::routes;
