//! Signing in, and what keeps people signed in.

pub(crate) mod access_token;
pub(crate) mod refresh_token;
mod routes;
mod session;
mod sign_in;
mod signing_keys;

use web::Routes;

pub use session::{Device, Session};
pub use sign_in::Tokens;

use crate::Auth;

pub(crate) fn routes() -> Routes<Auth> {
    routes::routes().merge(signing_keys::routes())
}
