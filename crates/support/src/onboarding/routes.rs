use axum::extract::State;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Permission, Role, Routes};

use super::progress::{Onboarding, StepInput};
use crate::Support;

const READ: Permission = Permission::read("onboarding:read").people_only();
const WRITE: Permission = Permission { name: "onboarding:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Support> {
    Routes::new()
        .route(Access::to(READ), routes!(show_onboarding))
        .route(Access::to(WRITE), routes!(set_onboarding_step))
}

/// Show how far you have come in getting to know the product, and where to go on.
#[utoipa::path(get, path = "/v1/me/onboarding", tag = "support",
    responses((status = 200, body = Onboarding)))]
async fn show_onboarding(
    State(support): State<Support>,
    caller: Caller,
) -> web::Result<Json<Onboarding>> {
    Ok(Json(support.onboarding(&caller).await?))
}

/// Note that a step is done or skipped, or take it up again. A step that is done by itself can only be skipped.
#[utoipa::path(put, path = "/v1/me/onboarding/{step}", tag = "support",
    params(("step" = String, Path)), request_body = StepInput,
    responses((status = 200, body = Onboarding)))]
async fn set_onboarding_step(
    State(support): State<Support>,
    caller: Caller,
    Path(step): Path<String>,
    Json(input): Json<StepInput>,
) -> web::Result<Json<Onboarding>> {
    Ok(Json(support.set_step(&caller, &step, input).await?))
}
