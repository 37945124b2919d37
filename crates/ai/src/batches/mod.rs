//! Many calls at once, as `OpenAI`'s Batch API: sent as a file, made when there is room for them, their
//! answers a file again.

mod batch;
mod end;
mod file;
mod file_routes;
mod form;
mod lines;
mod list;
mod routes;
mod run;

use web::Routes;

use crate::Ai;

pub(crate) use batch::{Batch, Status};
pub(crate) use end::end_if_done;
pub(crate) use file::File;
pub(crate) use routes::ENDPOINTS;
pub(crate) use run::{PurgeBatches, RunBatches};

pub(crate) fn routes() -> Routes<Ai> {
    file_routes::routes().merge(routes::routes())
}
