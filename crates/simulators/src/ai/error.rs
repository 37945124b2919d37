use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};

/// An error in OpenAI's shape.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    pub(super) message: String,
    retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn invalid(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code: None,
            param,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn unsupported(param: &'static str, message: &str) -> Self {
        Self { code: Some("unsupported_parameter"), ..Self::invalid(Some(param), message) }
    }

    pub(super) fn unauthenticated() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an \
                       Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::invalid(None, message) }
    }

    pub(super) fn unknown_model(id: &str) -> Self {
        let message = format!("The model `{id}` does not exist or you do not have access to it.");
        Self {
            status: StatusCode::NOT_FOUND,
            code: Some("model_not_found"),
            ..Self::invalid(None, message)
        }
    }

    pub(super) fn unknown_url(method: &Method, uri: &Uri) -> Self {
        let message = format!("Invalid URL ({method} {})", uri.path());
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(None, message) }
    }

    pub(super) fn no_batches() -> Self {
        let message = "Invalid URL (POST /v1/files)";
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(None, message) }
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        let message = format!("No such {what} object: {id}");
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(Some("id"), message) }
    }

    pub(super) fn used_up() -> Self {
        let message = "Billing hard limit has been reached";
        Self { code: Some("billing_hard_limit_reached"), ..Self::invalid(None, message) }
    }

    /// The error a provider in trouble answers with.
    pub(super) fn trouble(status: u16, retry_after: Option<u64>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (kind, code, message) = match status {
            StatusCode::UNAUTHORIZED => {
                ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided.")
            }
            StatusCode::TOO_MANY_REQUESTS => {
                ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests.")
            }
            StatusCode::SERVICE_UNAVAILABLE => (
                "server_error",
                None,
                "The engine is currently overloaded, please try again later.",
            ),
            _ if status.is_client_error() => ("invalid_request_error", None, "Invalid request."),
            _ => ("server_error", None, "The server had an error while processing your request."),
        };
        Self { status, kind, code, param: None, message: message.into(), retry_after }
    }
}

impl ApiError {
    pub(super) fn body(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For those whose errors have another shape.
        response.extensions_mut().insert(self);
        response
    }
}

/// The end of a call that gets no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    Error(ApiError),
    Reset,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Error(error) => error.into_response(),
            // A body that fails at once takes the connection down before its head is flushed.
            Self::Reset => Body::from_stream(stream::iter([Err::<Bytes, _>(Cut)])).into_response(),
        }
    }
}

/// Ends a body, and with it the connection, before its time.
#[derive(Debug, thiserror::Error)]
#[error("cut on request")]
pub(super) struct Cut;
