//! What customers ask, with what is needed to answer it.

mod deliver;
mod failure;
mod message;
mod operators;
mod routes;
mod ticket;
mod write;

use web::Routes;

use crate::Support;

pub(crate) use deliver::Deliver;
pub(crate) use ticket::Ticket;

pub(crate) fn routes() -> Routes<Support> {
    routes::routes().merge(operators::routes())
}
