//! From a brief to a result, in steps.

mod creation;
mod make;
mod order;
mod quality;
mod rating;
mod retry;
mod routes;
mod scores;
mod step;

pub(crate) use make::{Make, PLANNER, WRITER};
pub(crate) use routes::routes;
