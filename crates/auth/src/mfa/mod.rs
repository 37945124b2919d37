//! The second factor: an authenticator or a passkey, and codes for when it is lost.

pub(crate) mod challenge;
pub(crate) mod factor;
mod manage;
pub(crate) mod recovery_code;
mod routes;
mod step;
pub(crate) mod totp;

pub(crate) use routes::routes;
