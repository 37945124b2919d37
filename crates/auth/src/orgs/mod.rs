//! Organizations, and who is what in them.

pub(crate) mod org;
mod seats;

pub use seats::seats_in_use;
