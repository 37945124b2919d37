//! The calls, one by one: in pages, as a file, and as they end.

mod cached;
mod events;
mod export;
mod list;
mod position;

pub use cached::{CachedAnswer, record_cached};
pub(crate) use events::{Event, Tail};
pub(crate) use export::csv;
pub use list::RecordsQuery;
pub(crate) use list::{Listed, Shown};
