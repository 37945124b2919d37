//! Asking somebody into an org, by a link that only their mailbox gets.

mod acceptance;
mod invitation;
mod routes;

use web::Routes;

use crate::Auth;

pub(crate) use acceptance::is_open;

pub(super) fn routes() -> Routes<Auth> {
    routes::routes().merge(acceptance::routes())
}
