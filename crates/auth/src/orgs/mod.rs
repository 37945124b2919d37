//! Organizations, and who is what in them.

mod current;
mod departure;
mod error;
mod founding;
pub(crate) mod invitations;
mod list;
mod members;
pub(crate) mod org;
mod ownership;
mod rules;
mod seats;
mod settings;
mod suspension;

use web::Routes;

use crate::Auth;

pub use error::MembershipRefused;
pub use seats::Seats;

pub(crate) use current::{not_a_member, requested_org};

pub(crate) fn routes() -> Routes<Auth> {
    list::routes()
        .merge(settings::routes())
        .merge(current::routes())
        .merge(members::routes())
        .merge(ownership::routes())
        .merge(invitations::routes())
}
