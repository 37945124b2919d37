//! A copy of everything that is kept about a person, or of an org.

mod archive;
mod export;
mod make;
mod purge;
mod request;
mod routes;

pub use export::{Export, ExportStatus};

pub(crate) use make::MakeExport;
pub(crate) use purge::PurgeExports;
pub(crate) use routes::routes;
