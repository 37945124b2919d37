use axum::extract::State;
use db::Db;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, Permission, Query, Routes};

use crate::{Event, EventQuery};

const READ: Permission = Permission::manage("audit:read");

pub(crate) fn routes() -> Routes<Db> {
    Routes::new().route(Access::to(READ), routes!(list_audit_events))
}

/// What was done in the org and to it, the newest first.
#[utoipa::path(get, path = "/v1/audit-log", tag = "audit", params(EventQuery),
    responses((status = 200, body = Page<Event>)))]
async fn list_audit_events(
    State(db): State<Db>,
    caller: Caller,
    Query(query): Query<EventQuery>,
) -> web::Result<Json<Page<Event>>> {
    let mut tx = db.tenant(caller.org).await?;
    Ok(Json(Event::page(&mut *tx, query).await?))
}
