use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use web::Problem;

use crate::messages;

/// Says of a problem that the call may have been billed.
pub(crate) const OUTCOME: &str = "outcome";

/// Why the provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// It refused the request: the caller's to correct. Nothing was billed.
    #[error("the provider refused the request ({status})")]
    Refused { status: StatusCode, error: Value },
    /// It cannot be asked for that. Nothing was sent.
    #[error("the request does not suit the provider: {0}")]
    Unsupported(Problem),
    /// It could not serve us, or we could not reach it. Nothing was billed.
    #[error("the provider is unavailable: {reason}")]
    Unavailable { reason: String, retry_after: Option<Duration> },
    /// The connection broke, or it stayed silent, after it had the request: it may have billed us.
    #[error("the provider's answer was lost: {reason}")]
    Lost { reason: String },
}

impl ProviderError {
    /// Whether somebody else may be asked instead.
    pub(crate) fn leaves_others(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unsupported(_))
    }

    /// It is left alone for `wait`.
    pub(crate) fn unavailable(reason: &str, wait: Duration) -> Self {
        Self::Unavailable { reason: reason.to_owned(), retry_after: Some(wait) }
    }

    /// It was given up, since its reservation was about to end.
    pub(crate) fn outlived() -> Self {
        Self::Lost { reason: "it outlived its reservation".to_owned() }
    }
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Refused { status, error } => {
                let message =
                    error["message"].as_str().unwrap_or("the provider refused the request");
                Self::new(status, "provider_refused", message.to_owned()).with("error", error)
            }
            ProviderError::Unsupported(problem) => problem,
            ProviderError::Unavailable { retry_after, .. } => {
                let wait = retry_after.map_or(10, |wait| wait.as_secs().saturating_add(1));
                unavailable().retry_after(wait).because(error)
            }
            // Trying again might be billed again, so SDKs are told not to do it by themselves.
            ProviderError::Lost { .. } => unavailable()
                .with(OUTCOME, "unknown")
                .retry_after(10)
                .header(
                    HeaderName::from_static("x-should-retry"),
                    HeaderValue::from_static("false"),
                )
                .because(error),
        }
    }
}

fn unavailable() -> Problem {
    let detail = "the AI provider does not answer; you were not charged";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ai_unavailable", detail)
}

/// A problem that also carries `OpenAI`'s `error` object, so that its SDKs show the reason.
#[derive(Debug)]
pub(crate) struct ApiError(Problem);

/// What the gateway's handlers return.
pub(crate) type ApiResult<T = Response> = Result<T, ApiError>;

impl<E: Into<Problem>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        carrying_error(self.0).into_response()
    }
}

/// Middleware by which every error of the gateway's routes carries the `error` object, also those of
/// the layers: who calls is not known, calls too often, sends too much.
pub async fn carry_errors(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let carry: fn(Problem) -> Problem = match path {
        "/v1/messages" | "/v1/messages/count_tokens" => messages::carrying_error,
        _ if GATEWAY.iter().any(|prefix| path.starts_with(prefix)) => carrying_error,
        _ => return next.run(request).await,
    };
    let mut response = next.run(request).await;
    // It is rendered further out.
    if let Some(problem) = response.extensions_mut().get_mut::<Problem>() {
        *problem = carry(problem.clone());
    }
    response
}

/// The addresses that `OpenAI`'s SDKs know.
const GATEWAY: [&str; 6] =
    ["/v1/chat/", "/v1/embeddings", "/v1/images/", "/v1/models", "/v1/files", "/v1/batches"];

/// The problem with the `error` object.
pub(crate) fn carrying_error(problem: Problem) -> Problem {
    if problem.extension("error").is_some_and(Value::is_object) {
        return problem;
    }
    let error = openai_error(&problem);
    problem.with("error", error)
}

fn openai_error(problem: &Problem) -> Value {
    let kind = match problem.status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 | 402 => "insufficient_quota",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({ "message": problem.detail, "type": kind, "code": problem.code, "param": null })
}
