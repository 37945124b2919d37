//! Who calls: from the token of a request to what it is worth now.

pub(crate) mod held_tokens;
mod identify;
pub(crate) mod standing;

pub use identify::identify;
pub(crate) use identify::{invalid_token, org_suspended};
