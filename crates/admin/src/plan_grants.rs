use audit::Origin;
use axum::{extract::State, http::StatusCode};
use billing::PlanGrant;
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Routes};

use crate::{Admin, orgs::Summary};

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(show_plan_grant))
        .route(Access::operators().after_recent_sign_in(), routes!(grant_plan, withdraw_plan))
}

/// A plan to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanGrantInput {
    /// Which.
    #[schema(example = "pro")]
    plan: String,
    /// When it ends; absent: never.
    until: Option<DateTime<Utc>>,
    /// Why. Kept in the audit log.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Show the plan that was given to an org, if one was.
#[utoipa::path(get, path = "/admin/v1/orgs/{id}/plan-grant", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = PlanGrant)))]
async fn show_plan_grant(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
) -> web::Result<Json<PlanGrant>> {
    let grant = PlanGrant::of(admin.db.pool(), id, admin.clock.now()).await?;
    let none = || Problem::not_found("no_plan_grant", "no plan was given to this organization");
    Ok(Json(grant.ok_or_else(none)?))
}

/// Give an org any plan, for any time, whatever it pays for: the better of both is in force.
#[utoipa::path(put, path = "/admin/v1/orgs/{id}/plan-grant", tag = "operators",
    params(("id" = String, Path, format = Uuid)), request_body = PlanGrantInput,
    responses((status = 200, body = PlanGrant)))]
async fn grant_plan(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
    Json(input): Json<PlanGrantInput>,
) -> web::Result<Json<PlanGrant>> {
    let PlanGrantInput { plan, until, reason } = input;
    let reason = reason.trim();
    if !(1..=500).contains(&reason.chars().count()) {
        return Err(Problem::invalid_field("/reason", "must have 1 to 500 characters"));
    }
    if until.is_some_and(|end| end <= admin.clock.now()) {
        return Err(Problem::invalid_field("/until", "must be in the future"));
    }
    let mut tx = admin.db.begin().await?;
    Summary::get(&mut *tx, id).await?;
    let grant = admin.billing.grant_plan(&mut tx, id, &plan, until, reason, &origin).await?;
    tx.commit().await?;
    Ok(Json(grant))
}

/// Take it back: what the org pays for is in force again.
#[utoipa::path(delete, path = "/admin/v1/orgs/{id}/plan-grant", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn withdraw_plan(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
) -> web::Result<StatusCode> {
    let mut tx = admin.db.begin().await?;
    Summary::get(&mut *tx, id).await?;
    admin.billing.withdraw_plan(&mut tx, id, &origin).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
