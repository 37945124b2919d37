//! Every mail, from the transaction that causes it to what its reader's server said.

mod email;
mod log;
mod purge;
mod send;
mod status;

pub use email::Email;
pub(crate) use email::NewEmail;
pub use log::{EmailEvent, EmailQuery, EmailRecord, Rates};
pub(crate) use purge::Purge;
pub(crate) use send::SendEmail;
pub use status::Status;
