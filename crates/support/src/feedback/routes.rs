use axum::{extract::State, http::StatusCode};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Role, Routes};

use super::given::{Feedback, FeedbackInput};
use crate::Support;

const WRITE: Permission = Permission { name: "feedback:write", roles: &Role::ALL, keys: true };

pub(crate) fn routes() -> Routes<Support> {
    Routes::new().route(Access::to(WRITE), routes!(give_feedback))
}

/// Say what you think of the product, or of one thing in it.
#[utoipa::path(post, path = "/v1/feedback", tag = "support", request_body = FeedbackInput,
    responses((status = 201, body = Feedback)))]
async fn give_feedback(
    State(support): State<Support>,
    caller: Caller,
    Json(input): Json<FeedbackInput>,
) -> web::Result<(StatusCode, Json<Feedback>)> {
    Ok((StatusCode::CREATED, Json(support.take_feedback(&caller, input).await?)))
}
