use ai::{Control, ControlInput, Stopper};
use audit::Origin;
use axum::extract::State;
use kernel::{Id, Org};
use utoipa_axum::routes;
use web::{Access, Etag, IfMatch, Json, Path, Routes};

use crate::{Admin, orgs::Summary};

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(show_platform_ai_control, set_platform_ai_control))
        .route(Access::operators(), routes!(set_org_ai_control))
}

/// Show what may stop or change everybody's AI calls.
#[utoipa::path(get, path = "/admin/v1/ai-control", tag = "operators",
    responses((status = 200, body = Control)))]
async fn show_platform_ai_control(
    State(admin): State<Admin>,
) -> web::Result<(Etag, Json<Control>)> {
    let control = Control::of(admin.db.pool(), None).await?;
    Ok((Etag(control.version), Json(control)))
}

/// Switch everybody's AI calls off or on, and choose what happens before the platform's budget is
/// exhausted. Takes effect within a second; calls in flight end as usual.
#[utoipa::path(put, path = "/admin/v1/ai-control", tag = "operators", request_body = ControlInput,
    params(("If-Match" = Option<String>, Header)), responses((status = 200, body = Control)))]
async fn set_platform_ai_control(
    State(admin): State<Admin>,
    origin: Origin,
    if_match: IfMatch,
    Json(input): Json<ControlInput>,
) -> web::Result<(Etag, Json<Control>)> {
    let control = admin.ai.set_control(None, input, Stopper::Operator, &origin, if_match).await?;
    Ok((Etag(control.version), Json(control)))
}

/// Switch the AI calls of an org off or on. Its owners cannot undo what operators switched off.
#[utoipa::path(put, path = "/admin/v1/orgs/{id}/ai-control", tag = "operators",
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    request_body = ControlInput, responses((status = 200, body = Control)))]
async fn set_org_ai_control(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
    if_match: IfMatch,
    Json(input): Json<ControlInput>,
) -> web::Result<(Etag, Json<Control>)> {
    Summary::get(admin.db.pool(), id).await?;
    let by = Stopper::Operator;
    let control = admin.ai.set_control(Some(id), input, by, &origin, if_match).await?;
    Ok((Etag(control.version), Json(control)))
}
