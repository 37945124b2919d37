use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error in Resend's shape.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) name: &'static str,
    pub(super) message: &'static str,
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, name: &'static str, message: &'static str) -> Self {
        Self { status, name, message, retry_after: None }
    }

    pub(super) fn validation(message: &'static str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_error", message)
    }

    /// As the API would answer with a status somebody asked for.
    pub(super) fn of_status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let name = match status {
            StatusCode::UNAUTHORIZED => "missing_api_key",
            StatusCode::FORBIDDEN => "invalid_api_key",
            StatusCode::UNPROCESSABLE_ENTITY => "validation_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_exceeded",
            _ => "application_error",
        };
        Self::new(status, name, "The simulator was told to answer this.")
    }

    pub(super) fn busy(retry_after: Option<u64>) -> Self {
        Self { retry_after, ..Self::of_status(429) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "statusCode": self.status.as_u16(), "name": self.name, "message": self.message,
        });
        let mut answer = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
