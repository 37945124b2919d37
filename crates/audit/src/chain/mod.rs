//! Chains of hashes over the log, so that nobody can change it unnoticed.
//!
//! Each org's events form a chain, and the platform's own another. A chain is extended after its
//! events are committed, so it has no gaps and whoever writes an event waits for nobody. Its end
//! carries a code made with `AUTH_SECRET`: who can write to the whole database but does not know the
//! secret cannot compute a chain anew. The end is logged each time, too: kept elsewhere, the logs
//! tell if somebody puts an older state of the database back.

pub(crate) mod link;
mod seal;
mod verify;

pub use verify::{Break, Verification};

pub(crate) use seal::SealEvents;
