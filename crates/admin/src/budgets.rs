use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::{Id, Org};
use quotas::{Budget, BudgetChanges, BudgetInput, BudgetView, RaiseInput};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Etag, IfMatch, Json, Path, Query, Routes};

use crate::{Admin, orgs::Summary};

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_platform_budgets))
        .route(Access::operators(), routes!(create_platform_budget))
        .route(Access::operators(), routes!(change_platform_budget, remove_platform_budget))
        .route(Access::operators(), routes!(raise_platform_budget, end_platform_budget_raise))
}

/// Whose budgets.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Those of this org; absent: the platform's own.
    #[param(value_type = Option<String>, format = Uuid)]
    org_id: Option<Id<Org>>,
}

impl Whose {
    /// The org, if there is such an org.
    async fn org(self, admin: &Admin) -> web::Result<Option<Id<Org>>> {
        if let Some(org) = self.org_id {
            Summary::get(admin.db.pool(), org).await?;
        }
        Ok(self.org_id)
    }
}

/// List the platform's budgets, or those that were set for an org.
#[utoipa::path(get, path = "/admin/v1/budgets", tag = "operators", params(Whose),
    responses((status = 200, body = Vec<BudgetView>)))]
async fn list_platform_budgets(
    State(admin): State<Admin>,
    Query(whose): Query<Whose>,
) -> web::Result<Json<Vec<BudgetView>>> {
    let org = whose.org(&admin).await?;
    let mut db = admin.db.pool().acquire().await?;
    Ok(Json(BudgetView::list(&mut db, org, admin.clock.now()).await?))
}

/// Set a budget for the platform or for an org. It holds from the next call on.
///
/// The platform's budgets per day and month in money come from the settings, which apply again at
/// every start: raise those for a while, or change the settings.
#[utoipa::path(post, path = "/admin/v1/budgets", tag = "operators", params(Whose),
    request_body = BudgetInput, responses((status = 201, body = BudgetView)))]
async fn create_platform_budget(
    State(admin): State<Admin>,
    Query(whose): Query<Whose>,
    origin: Origin,
    Json(input): Json<BudgetInput>,
) -> web::Result<(StatusCode, Etag, Json<BudgetView>)> {
    let org = whose.org(&admin).await?;
    let budget = admin.quotas.create_budget(org, &input, &origin).await?;
    Ok((StatusCode::CREATED, Etag(budget.version), Json(budget)))
}

/// Change a budget, if it is still the version named by `If-Match`. What was used stays used.
#[utoipa::path(patch, path = "/admin/v1/budgets/{id}", tag = "operators", request_body = BudgetChanges,
    params(Whose, ("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = BudgetView)))]
async fn change_platform_budget(
    State(admin): State<Admin>,
    Path(id): Path<Id<Budget>>,
    Query(whose): Query<Whose>,
    if_match: IfMatch,
    origin: Origin,
    Json(changes): Json<BudgetChanges>,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let org = whose.org(&admin).await?;
    let budget = admin.quotas.change_budget(org, id, &changes, if_match, &origin).await?;
    Ok((Etag(budget.version), Json(budget)))
}

/// Remove a budget. Calls in flight that counted for it end as usual.
#[utoipa::path(delete, path = "/admin/v1/budgets/{id}", tag = "operators",
    params(Whose, ("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "It no longer limits anything")))]
async fn remove_platform_budget(
    State(admin): State<Admin>,
    Path(id): Path<Id<Budget>>,
    Query(whose): Query<Whose>,
    if_match: IfMatch,
    origin: Origin,
) -> web::Result<StatusCode> {
    let org = whose.org(&admin).await?;
    admin.quotas.remove_budget(org, id, if_match, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Raise a budget for a while, instead of any raise before.
#[utoipa::path(put, path = "/admin/v1/budgets/{id}/raise", tag = "operators", request_body = RaiseInput,
    params(Whose, ("id" = String, Path, format = Uuid)), responses((status = 200, body = BudgetView)))]
async fn raise_platform_budget(
    State(admin): State<Admin>,
    Path(id): Path<Id<Budget>>,
    Query(whose): Query<Whose>,
    origin: Origin,
    Json(raise): Json<RaiseInput>,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let org = whose.org(&admin).await?;
    let budget = admin.quotas.raise_budget(org, id, Some(&raise), &origin).await?;
    Ok((Etag(budget.version), Json(budget)))
}

/// Take a raise back before its time.
#[utoipa::path(delete, path = "/admin/v1/budgets/{id}/raise", tag = "operators",
    params(Whose, ("id" = String, Path, format = Uuid)), responses((status = 200, body = BudgetView)))]
async fn end_platform_budget_raise(
    State(admin): State<Admin>,
    Path(id): Path<Id<Budget>>,
    Query(whose): Query<Whose>,
    origin: Origin,
) -> web::Result<(Etag, Json<BudgetView>)> {
    let org = whose.org(&admin).await?;
    let budget = admin.quotas.raise_budget(org, id, None, &origin).await?;
    Ok((Etag(budget.version), Json(budget)))
}
