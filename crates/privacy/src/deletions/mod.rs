//! The end of what is kept about a person or an org: asked for, called off for a while, carried out, certified.

mod carry_out;
mod certificate;
mod deletion;
mod erase;
mod notices;
mod operators;
mod request;
mod routes;
mod shut_out;

pub use certificate::Certificate;
pub use deletion::Deletion;

pub(crate) use carry_out::CarryOutDeletions;

use web::Routes;

use crate::Privacy;

pub(crate) fn routes() -> Routes<Privacy> {
    routes::routes().merge(operators::routes())
}
