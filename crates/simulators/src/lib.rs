//! Stateful doubles of the services a product depends on, spoken to over loopback by the real clients.

pub mod ai;
mod clock;
pub mod identity;
pub mod mailbox;
mod serve;
pub mod sink;
pub mod stripe;
