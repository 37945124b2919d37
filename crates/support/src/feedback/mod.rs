//! What people think of the product.

mod given;
mod operators;
mod report;
mod routes;

use web::Routes;

use crate::Support;

pub(crate) fn routes() -> Routes<Support> {
    routes::routes().merge(operators::routes())
}
