//! Batches that a provider makes as a batch of its own, at its price for batches.
//!
//! The calls of a batch that ask for one model of such a provider become one batch there, a *lane*. Each
//! is reserved under its own id, at most and until the lane is given up, before the provider hears
//! of any; each is settled once by what the provider's file says of it. Whatever dies in between is
//! taken up again from what was written down.

mod account;
mod advance;
mod book;
mod ending;
mod lane;
mod reserve;
mod sort;
mod submit;

pub(crate) use advance::advance_all;
pub(crate) use sort::sort;
