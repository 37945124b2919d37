use axum::extract::State;
use quotas::Violation;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(show_invariants))
}

/// Whether the books are right.
#[derive(Serialize, ToSchema)]
struct Invariants {
    /// Whether every rule holds.
    hold: bool,
    /// The rows that break one.
    violations: Vec<Violation>,
}

/// Check every rule of the books now: balances, holds, budgets, one record a call, money.
#[utoipa::path(get, path = "/admin/v1/invariants", tag = "operators",
    responses((status = 200, body = Invariants)))]
async fn show_invariants(State(admin): State<Admin>) -> web::Result<Json<Invariants>> {
    let mut violations = quotas::violations(admin.db.pool()).await?;
    violations.extend(::billing::violations(admin.db.pool()).await?);
    Ok(Json(Invariants { hold: violations.is_empty(), violations }))
}
