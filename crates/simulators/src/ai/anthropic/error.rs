use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::super::{error::ApiError, unique};

/// Puts an error into Anthropic's shape.
pub(super) async fn reshape(mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let mut body = body(kind(error.status), &error.message);
    body["request_id"] = unique("req_").into();
    let mut reshaped = (error.status, Json(body)).into_response();
    if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
        reshaped.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    reshaped
}

pub(super) fn body(kind: &str, message: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}

fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
