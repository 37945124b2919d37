//! Who did what: one append-only log of customers, operators and the product itself.
//!
//! An [`Entry`] is written in the transaction of the change that it tells of, so that neither is
//! there without the other. Nothing in it is secret: no passwords, keys, tokens or prompts.

mod entry;
mod event;
mod origin;
mod routes;

use app::Module;
use db::Db;

pub use entry::Entry;
pub use event::{Event, EventQuery};
pub use origin::{Actor, Origin};

/// The log as a part of the product.
pub fn module(db: Db) -> Module {
    Module { routes: routes::routes().with_state(db), ..Module::default() }
}
