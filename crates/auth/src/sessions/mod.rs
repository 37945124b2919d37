//! Signing in, and what keeps people signed in.

pub(crate) mod access_token;
mod config;
mod inventory;
pub(crate) mod magic_link;
mod new_device;
mod reauthentication;
mod refresh;
mod refresh_token;
mod routes;
mod session;
mod sign_in;
mod signing_keys;
mod tokens;
pub(crate) mod transport;

use jobs::Registry;
use web::Routes;

pub(crate) use config::Config;
pub(crate) use inventory::session_of;
pub(crate) use magic_link::routes::sign_in_cookie;
pub(crate) use reauthentication::PROVE;
pub use session::{Device, Session};
pub use tokens::Tokens;

use crate::Auth;

pub(crate) fn routes() -> Routes<Auth> {
    routes::routes()
        .merge(magic_link::routes::routes())
        .merge(inventory::routes())
        .merge(reauthentication::routes())
        .merge(signing_keys::routes())
}

pub(crate) fn jobs(auth: &Auth) -> Registry {
    Registry::default().with::<magic_link::SendMagicLink>(auth.clone())
}
