//! Archives of projects, made by a job and kept for some days.

mod export;
mod make;
mod purge;
mod routes;

pub(crate) use export::ProjectExport;
pub(crate) use make::MakeProjectExport;
pub(crate) use purge::PurgeProjectExports;
pub(crate) use routes::routes;
