//! People's accounts: how they begin, how they get another password or address, who they are.

mod confirmation;
mod email_change;
mod email_token;
pub(crate) mod ending;
mod history;
mod links;
mod me;
mod password_change;
mod password_reset;
mod pending;
mod recipient;
mod registration;
mod routes;
pub(crate) mod user;
pub(crate) mod way_in;

use jobs::Registry;
use web::Routes;

pub use ending::Ended;
pub use recipient::Recipient;
pub use registration::{Registered, Registration};
pub use user::Name;

use crate::Auth;

pub(crate) fn routes() -> Routes<Auth> {
    routes::routes().merge(links::routes()).merge(me::routes())
}

pub(crate) fn jobs(auth: &Auth) -> Registry {
    Registry::default()
        .with::<confirmation::SendVerification>(auth.clone())
        .with::<password_reset::SendPasswordReset>(auth.clone())
        .with::<registration::MailRegistration>(auth.clone())
}
