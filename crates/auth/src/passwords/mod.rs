//! What passwords must be like, and how they are stored.

pub(crate) mod hashing;
pub(crate) mod policy;

pub use policy::PasswordRefused;
