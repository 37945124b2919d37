//! What Resend tells about mails: delivered, bounced, called spam.

mod event;
mod routes;
mod signature;

pub(crate) use routes::routes;
pub(crate) use signature::Secret;
