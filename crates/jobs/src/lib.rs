//! Work that outlives the request, queued in the transaction that causes it.
//!
//! The queue is `graphile_worker`: a schema of its own in our Postgres, with its own migrations.
//! Its tables are unknown to the checked query macros, so the few queries here are unchecked; they
//! use the library's public functions and views where it has one.

mod clock;
mod config;
mod dead;
mod inspect;
mod job;
mod lease;
mod listener;
mod measure;
mod observe;
mod queue;
mod registry;
mod run_due;
mod schedule;
mod upkeep;
mod worker;
mod workers;

pub use config::Config;
pub use dead::{discard, discard_carrying, retry};
pub use inspect::{
    Failed, Filter, Kind, Queued, State, Stats, alive, find, is_queued, is_ready, kinds, list,
    missed_slots, stats,
};
pub use job::Job;
pub use lease::{Lease, running};
pub use queue::{Enqueue, enqueue, enqueue_all, payload};
pub use registry::Registry;
pub use run_due::run_due;
pub use schedule::Schedule;
pub use upkeep::Upkeep;
pub use worker::{Worker, migrate};
pub use workers::{Instance, instances};
