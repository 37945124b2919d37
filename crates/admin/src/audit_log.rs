use audit::{Event, EventQuery, Verification};
use axum::extract::State;
use kernel::{Id, Org};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Json, Page, Problem, Query, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_all_audit_events))
        .route(Access::operators(), routes!(verify_audit_log))
}

/// What to verify.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The log of this org only.
    #[param(value_type = Option<String>, format = Uuid)]
    org_id: Option<Id<Org>>,
}

/// What was done by anybody to any org or to the platform, the newest first.
#[utoipa::path(get, path = "/admin/v1/audit-log", tag = "operators", params(EventQuery),
    responses((status = 200, body = Page<Event>)))]
async fn list_all_audit_events(
    State(admin): State<Admin>,
    Query(query): Query<EventQuery>,
) -> web::Result<Json<Page<Event>>> {
    Ok(Json(Event::page(admin.db.pool(), query).await?))
}

/// Compare the audit log with its seals: whether anything was changed, removed or put in.
///
/// It reads the whole log; `slipway audit verify` does the same without a time limit.
#[utoipa::path(get, path = "/admin/v1/audit-log/verification", tag = "operators", params(Whose),
    responses((status = 200, body = Verification)))]
async fn verify_audit_log(
    State(admin): State<Admin>,
    Query(whose): Query<Whose>,
) -> web::Result<Json<Verification>> {
    let found = admin.audit.verify(whose.org_id).await;
    found.map(Json).map_err(|error| match error.downcast::<sqlx::Error>() {
        Ok(error) => error.into(),
        Err(error) => Problem::internal(error),
    })
}
