use axum::{
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A refusal, in the shape Stripe gives its errors.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status}: {message}")]
pub struct Error {
    pub(super) status: StatusCode,
    kind: &'static str,
    pub(super) code: Option<&'static str>,
    message: String,
    param: Option<String>,
}

impl Error {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code: None, message: message.into(), param: None }
    }

    fn with(self, code: &'static str, param: Option<&str>) -> Self {
        Self { code: Some(code), param: param.map(str::to_owned), ..self }
    }

    /// The request makes no sense as it stands.
    pub(super) fn invalid(param: &str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message);
        Self { param: Some(param.to_owned()), ..error }
    }

    pub(super) fn malformed(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self::invalid(param, message).with(code, Some(param))
    }

    pub(super) fn missing(param: &str) -> Self {
        let message = format!("Missing required param: {param}.");
        Self::malformed("parameter_missing", param, message)
    }

    pub(super) fn unknown_parameter(param: &str) -> Self {
        let message = format!("Received unknown parameter: {param}");
        Self::malformed("parameter_unknown", param, message)
    }

    /// The object named by the path does not exist.
    pub(super) fn not_found(kind: &str, id: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::no_such(kind, id, "id") }
    }

    /// The object named by a parameter does not exist.
    pub(super) fn no_such(kind: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {}: '{id}'", kind.replace(['_', '.'], " "));
        Self::malformed("resource_missing", param, message)
    }

    pub(super) fn unrecognized(method: &Method, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    pub(super) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were \
             first used with. Try using a key other than '{key}' if you meant to execute a \
             different request."
        );
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    pub(super) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key: {key}"
        );
        Self::new(StatusCode::CONFLICT, "invalid_request_error", message)
            .with("idempotency_key_in_use", None)
    }

    pub(super) fn card_declined() -> Self {
        let message = "Your card was declined.";
        Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", message).with("card_declined", None)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message)
    }

    /// What Stripe says when it answers with `status` for reasons of its own.
    pub(super) fn on_request(status: StatusCode) -> Self {
        let (kind, code, message) = match status {
            StatusCode::PAYMENT_REQUIRED => {
                ("card_error", Some("card_declined"), "Your card was declined.")
            }
            StatusCode::CONFLICT => {
                let message = "This object cannot be accessed right now.";
                ("invalid_request_error", Some("lock_timeout"), message)
            }
            StatusCode::TOO_MANY_REQUESTS => {
                ("invalid_request_error", Some("rate_limit"), "Request rate limit exceeded.")
            }
            _ => ("api_error", None, "Something went wrong on Stripe's end."),
        };
        Self { code, ..Self::new(status, kind, message) }
    }

    /// Whether an endpoint started to run: only then does Stripe keep the answer for its idempotency key.
    pub(super) fn came_from_an_endpoint(&self) -> bool {
        !self.code.is_some_and(|code| code.starts_with("parameter_"))
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = code.into();
            error["doc_url"] = format!("https://docs.stripe.com/error-codes#{code}").into();
        }
        if let Some(param) = &self.param {
            error["param"] = param.as_str().into();
        }
        json!({ "error": error })
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        answer(self.status, &self.body())
    }
}

/// An answer as Stripe writes it: indented, and saying whether trying again can help.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, format!("{body:#}")).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if !status.is_success() {
        let retry = matches!(status.as_u16(), 409 | 429 | 500..);
        let retry = if retry { "true" } else { "false" };
        headers.insert("stripe-should-retry", HeaderValue::from_static(retry));
    }
    response
}
