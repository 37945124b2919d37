//! The only way to call a URL that a customer gave.
//!
//! Such a URL may point at ourselves: at the database, at the metadata service of the cloud, at a
//! neighbour. So the name is resolved here, every address that it has must be a public one, and the
//! one that was checked is the one that is dialled. Nothing is followed, unpacked or waited for
//! without an end. What is refused is named; what our network looks like is not told.

mod addresses;
mod client;
mod config;
mod resolver;
mod target;

pub use client::{Answer, Egress, Failure, Limits};
pub use config::Config;
pub use target::{Refused, Target};
