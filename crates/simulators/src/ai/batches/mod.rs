//! Files and batches, as OpenAI's Batch API: a batch is done when it is first looked at, unless it is
//! held, or was told to fail.

mod batch;
mod lane;
mod routes;

pub use batch::BatchFault;
pub(super) use lane::Lane;
pub(super) use routes::routes;
