//! Every mail, from the transaction that causes it to what its reader's server said.

mod body_purge;
mod email;
mod log;
mod send;
mod status;

pub(crate) use body_purge::PurgeBodies;
pub use email::Email;
pub(crate) use email::NewEmail;
pub use log::{EmailEvent, EmailQuery, EmailRecord, Rates};
pub(crate) use send::SendEmail;
pub use status::Status;
