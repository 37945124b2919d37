//! The words every crate shares. No I/O lives here.

mod breaker;
mod clock;
mod email_address;
mod environment;
mod id;
mod money;

pub use breaker::Breaker;
pub use clock::Clock;
pub use email_address::{EmailAddress, InvalidEmailAddress};
pub use environment::Environment;
pub use id::Id;
pub use money::NanoUsd;

/// A customer account. Every row a customer can see belongs to one.
#[derive(Debug)]
pub struct Org;

/// A person. One user may belong to many orgs.
#[derive(Debug)]
pub struct User;

/// A program's access to one org.
#[derive(Debug)]
pub struct ApiKey;
