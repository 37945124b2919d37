//! A copy of everything that is kept about a person, or of an org.

mod export;
mod make;
mod purge;
mod request;
mod routes;
mod webhook_events;

pub use export::{Export, ExportStatus};

pub(crate) use make::MakeExport;
pub(crate) use purge::PurgeExports;
pub(crate) use routes::routes;
pub(crate) use webhook_events::ExportReady;
