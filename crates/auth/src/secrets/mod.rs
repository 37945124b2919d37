//! Secrets that we make, keep sealed, or derive from `AUTH_SECRET`.

pub(crate) mod keys;
mod reseal;
pub mod secret;

pub use reseal::reseal;
