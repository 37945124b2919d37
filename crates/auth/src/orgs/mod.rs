//! Organizations, and who is what in them.

pub(crate) mod org;
