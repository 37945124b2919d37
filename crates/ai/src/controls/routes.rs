use audit::Origin;
use axum::extract::State;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Permission, Role, Routes};

use super::control::{Control, ControlInput, Stopper};
use crate::Ai;

const READ: Permission = Permission::read("ai:read");
const WRITE: Permission = Permission { name: "ai:control", roles: &[Role::Owner], keys: false };

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new()
        .route(Access::to(READ), routes!(show_ai_control))
        .route(Access::to(WRITE), routes!(set_ai_control))
}

/// Show what may stop or change the org's AI calls.
#[utoipa::path(get, path = "/v1/ai-control", tag = "ai", responses((status = 200, body = Control)))]
async fn show_ai_control(
    State(ai): State<Ai>,
    caller: Caller,
) -> web::Result<(Etag, Json<Control>)> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let control = Control::of(&mut *tx, Some(caller.org)).await?;
    Ok((Etag(control.version), Json(control)))
}

/// Switch the org's AI calls off or on, and choose what happens before a budget is exhausted. Takes
/// effect within a second; calls in flight end as usual.
#[utoipa::path(put, path = "/v1/ai-control", tag = "ai", request_body = ControlInput,
    params(("If-Match" = Option<String>, Header)), responses((status = 200, body = Control)))]
async fn set_ai_control(
    State(ai): State<Ai>,
    caller: Caller,
    origin: Origin,
    if_match: IfMatch,
    Json(input): Json<ControlInput>,
) -> web::Result<(Etag, Json<Control>)> {
    let org = Some(caller.org);
    let control = ai.set_control(org, input, Stopper::Owner, &origin, if_match).await?;
    Ok((Etag(control.version), Json(control)))
}
