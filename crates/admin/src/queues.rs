use axum::extract::State;
use jobs::{Instance, Kind};
use utoipa_axum::routes;
use web::{Access, Json, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_queues))
        .route(Access::operators(), routes!(list_workers))
}

/// Show how full the queue of background jobs is, kind by kind.
#[utoipa::path(get, path = "/admin/v1/queues", tag = "operators",
    responses((status = 200, body = Vec<Kind>)))]
async fn list_queues(State(admin): State<Admin>) -> web::Result<Json<Vec<Kind>>> {
    Ok(Json(jobs::kinds(admin.db.pool()).await?))
}

/// List the workers, the one that was heard last first. A process has one for quick jobs and one for slow ones.
#[utoipa::path(get, path = "/admin/v1/workers", tag = "operators",
    responses((status = 200, body = Vec<Instance>)))]
async fn list_workers(State(admin): State<Admin>) -> web::Result<Json<Vec<Instance>>> {
    Ok(Json(jobs::instances(admin.db.pool()).await?))
}
