//! Networks that get no answer: blocked by operators, or by the product after too many refused sign-ins.

mod automatic;
mod block;
mod list;
mod refuse;
mod routes;

pub(crate) use block::IpBlock;
pub(crate) use list::BlockList;
pub use refuse::refuse_blocked;
pub(crate) use routes::routes;
