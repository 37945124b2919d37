//! People's accounts: how they begin, how their address is confirmed, how they get a new password.

pub(crate) mod email_token;
mod links;
mod me;
pub(crate) mod password_reset;
mod recipient;
mod registration;
mod routes;
pub(crate) mod user;
pub(crate) mod verification;

use web::Routes;

pub use recipient::Recipient;
pub use registration::{Registered, Registration};
pub use user::Name;

use crate::Auth;

pub(crate) fn routes() -> Routes<Auth> {
    routes::routes().merge(links::routes()).merge(me::routes())
}
