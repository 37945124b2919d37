use audit::{Event, EventQuery};
use axum::extract::State;
use utoipa_axum::routes;
use web::{Access, Json, Page, Query, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(list_all_audit_events))
}

/// What was done by anybody to any org or to the platform, the newest first.
#[utoipa::path(get, path = "/admin/v1/audit-events", tag = "operators", params(EventQuery),
    responses((status = 200, body = Page<Event>)))]
async fn list_all_audit_events(
    State(admin): State<Admin>,
    Query(query): Query<EventQuery>,
) -> web::Result<Json<Page<Event>>> {
    Ok(Json(Event::page(admin.db.pool(), query).await?))
}
