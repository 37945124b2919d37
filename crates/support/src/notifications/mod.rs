//! What people are told in the product: each in their own feed, in order, until they have read it.

mod announce;
mod announcement;
mod events;
mod notification;
mod operators;
mod routes;
mod told;

use web::Routes;

use crate::Support;

pub(crate) use announce::Announce;
pub(crate) use told::Told;

pub(crate) fn routes() -> Routes<Support> {
    routes::routes().merge(events::routes()).merge(operators::routes())
}
