//! Two variants of something, shown by lot, and whether one of them does better than chance would.

mod end;
mod experiment;
mod exposure;
mod result;
mod routes;

pub use experiment::Experiment;
pub use exposure::Variant;

pub(crate) use end::EndExperiments;
pub(crate) use routes::routes;
