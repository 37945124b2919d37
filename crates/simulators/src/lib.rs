//! Stateful doubles of the services a product depends on, spoken to over loopback by the real clients.

pub mod ai;
mod clock;
pub mod identity;
pub mod mailbox;
mod pages;
pub mod resend;
mod serve;
pub mod sink;
pub mod stripe;

pub use pages::Pages;
