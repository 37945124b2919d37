//! AI calls that nobody waits for: asked with `Prefer: respond-async` (RFC 7240), made by a worker,
//! their answer fetched later.

mod ended;
mod events;
mod generation;
mod purge;
mod routes;
mod run;

pub(crate) use ended::Ended;
pub(crate) use generation::{Generation, LEASE, NewGeneration, Status, Task};
pub(crate) use purge::PurgeGenerations;
pub(crate) use routes::{Prefer, accept, routes};
pub(crate) use run::{EndLostGenerations, RunGeneration, again_at, ask, outcome_unknown, work};
