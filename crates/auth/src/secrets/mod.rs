//! Secrets that we make, keep sealed, or derive from `AUTH_SECRET`.

pub(crate) mod keys;
pub(crate) mod sealed;
pub(crate) mod secret;
