use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Path, Permission, Routes};

use super::{BudgetChanges, BudgetInput, BudgetView, RaiseInput};
use crate::{Budget, Quotas};

const READ: Permission = Permission::read("quotas:read");
/// Only people: a leaked key must not raise its own limits.
const WRITE: Permission = Permission::manage("budgets:write").people_only();

pub(crate) fn routes() -> Routes<Quotas> {
    Routes::new()
        .route(Access::to(READ), routes!(list_budgets))
        .route(Access::to(READ), routes!(show_budget))
        .route(Access::to(WRITE), routes!(create_budget))
        .route(Access::to(WRITE), routes!(change_budget, remove_budget))
        .route(Access::to(WRITE), routes!(raise_budget, end_budget_raise))
}

/// List the budgets that were set for the org, its people, projects and keys, the oldest first.
#[utoipa::path(get, path = "/v1/budgets", tag = "budgets",
    responses((status = 200, body = Vec<BudgetView>)))]
async fn list_budgets(
    State(quotas): State<Quotas>,
    caller: Caller,
) -> web::Result<Json<Vec<BudgetView>>> {
    let mut tx = quotas.db().tenant(caller.org).await?;
    let now = quotas.clock().now();
    Ok(Json(BudgetView::list(&mut tx, Some(caller.org), now).await?))
}

/// Show a budget, and what is left of it.
#[utoipa::path(get, path = "/v1/budgets/{id}", tag = "budgets",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = BudgetView)))]
async fn show_budget(
    State(quotas): State<Quotas>,
    caller: Caller,
    Path(id): Path<Id<Budget>>,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let mut tx = quotas.db().tenant(caller.org).await?;
    let budget = BudgetView::get(&mut tx, Some(caller.org), id, quotas.clock().now()).await?;
    Ok((Etag(budget.version), Json(budget)))
}

/// Set a budget for the org, a project, a person or an API key. It holds from the next call on.
#[utoipa::path(post, path = "/v1/budgets", tag = "budgets", request_body = BudgetInput,
    responses((status = 201, body = BudgetView)))]
async fn create_budget(
    State(quotas): State<Quotas>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<BudgetInput>,
) -> web::Result<(StatusCode, Etag, Json<BudgetView>)> {
    let budget = quotas.create_budget(Some(caller.org), &input, &origin).await?;
    Ok((StatusCode::CREATED, Etag(budget.version), Json(budget)))
}

/// Change a budget, if it is still the version named by `If-Match`. What was used stays used.
#[utoipa::path(patch, path = "/v1/budgets/{id}", tag = "budgets", request_body = BudgetChanges,
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = BudgetView)))]
async fn change_budget(
    State(quotas): State<Quotas>,
    caller: Caller,
    Path(id): Path<Id<Budget>>,
    if_match: IfMatch,
    origin: Origin,
    Json(changes): Json<BudgetChanges>,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let org = Some(caller.org);
    let budget = quotas.change_budget(org, id, &changes, if_match, &origin).await?;
    Ok((Etag(budget.version), Json(budget)))
}

/// Remove a budget. Calls in flight that counted for it end as usual.
#[utoipa::path(delete, path = "/v1/budgets/{id}", tag = "budgets",
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "It no longer limits anything")))]
async fn remove_budget(
    State(quotas): State<Quotas>,
    caller: Caller,
    Path(id): Path<Id<Budget>>,
    if_match: IfMatch,
    origin: Origin,
) -> web::Result<StatusCode> {
    quotas.remove_budget(Some(caller.org), id, if_match, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Raise a budget for a while, instead of any raise before.
#[utoipa::path(put, path = "/v1/budgets/{id}/raise", tag = "budgets", request_body = RaiseInput,
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = BudgetView)))]
async fn raise_budget(
    State(quotas): State<Quotas>,
    caller: Caller,
    Path(id): Path<Id<Budget>>,
    origin: Origin,
    Json(raise): Json<RaiseInput>,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let budget = quotas.raise_budget(Some(caller.org), id, Some(&raise), &origin).await?;
    Ok((Etag(budget.version), Json(budget)))
}

/// Take a raise back before its time.
#[utoipa::path(delete, path = "/v1/budgets/{id}/raise", tag = "budgets",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = BudgetView)))]
async fn end_budget_raise(
    State(quotas): State<Quotas>,
    caller: Caller,
    Path(id): Path<Id<Budget>>,
    origin: Origin,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let budget = quotas.raise_budget(Some(caller.org), id, None, &origin).await?;
    Ok((Etag(budget.version), Json(budget)))
}
