//! What passwords must be like, and how they are stored.

mod config;
pub(crate) mod hashing;
pub(crate) mod policy;

pub(crate) use config::Config;
pub use policy::PasswordRefused;
