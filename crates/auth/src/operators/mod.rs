//! The people who run the product: accounts of their own, never a flag on a customer's, and never
//! without a second factor.

mod account;
mod enrolment;
mod impersonation;
mod list;
mod recovery_code;
pub(crate) mod routes;
mod session;
mod sign_in;

use web::Routes;

use crate::Auth;

pub use enrolment::{Enrolled, Enrolment};
pub(crate) use impersonation::is_impersonation;
pub(crate) use session::{find, is_well_formed};
pub use sign_in::OperatorToken;

pub(crate) fn routes() -> Routes<Auth> {
    routes::routes().merge(list::routes()).merge(impersonation::routes())
}
