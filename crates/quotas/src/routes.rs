use axum::extract::State;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Routes};

use crate::{Quotas, Status};

const READ: Permission = Permission::read("quotas:read");

pub(crate) fn routes() -> Routes<Quotas> {
    Routes::new().route(Access::to(READ), routes!(show))
}

/// What the org may still use: credits, what its plan includes, and budgets, with their reset times.
#[utoipa::path(get, path = "/v1/quotas", tag = "usage", responses((status = 200, body = Status)))]
async fn show(State(quotas): State<Quotas>, caller: Caller) -> web::Result<Json<Status>> {
    let mut tx = quotas.db().tenant(caller.org).await?;
    Ok(Json(Status::of(&mut tx, caller.org, quotas.clock().now()).await?))
}
