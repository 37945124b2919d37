use std::{borrow::Cow, sync::Arc};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A failed request, answered as `application/problem+json` (RFC 9457).
///
/// `code` is part of the API contract; `detail` and `action` are for people and may change.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status} {code}: {detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable and machine-readable.
    pub code: &'static str,
    /// What went wrong, for the person who called.
    pub detail: Cow<'static, str>,
    /// Behind a pointer, to keep the `Err` side of every handler small.
    more: Box<More>,
}

#[derive(Clone, Debug, Default)]
struct More {
    action: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<anyhow::Error>>,
}

/// What is wrong with one field of the body.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) to the field.
    #[schema(example = "/email")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem without anything optional.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, detail: detail.into(), more: Box::default() }
    }

    /// 400: the request could not be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: no credentials, or none that hold.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "this needs a signed-in caller")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 401 (RFC 7617): a browser that shows a page asks for a password, which is the token of an operator.
    pub fn token_of_operator() -> Self {
        let challenge = HeaderValue::from_static("Basic realm=\"operators\", charset=\"UTF-8\"");
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "this is for operators")
            .header(header::WWW_AUTHENTICATE, challenge)
            .action("Give the token of your session as an operator as the password.")
    }

    /// 401 (RFC 9470): who calls is known, but has not proved it for a while.
    pub fn sign_in_again() -> Self {
        let detail = "this needs you to have proved who you are a moment ago";
        let challenge =
            HeaderValue::from_static("Bearer error=\"insufficient_user_authentication\"");
        Self::new(StatusCode::UNAUTHORIZED, "reauthentication_required", detail)
            .header(header::WWW_AUTHENTICATE, challenge)
            .action(
                "Prove it with POST /v1/reauthentications, or as an operator sign in anew, then send \
                 this again.",
            )
    }

    /// 403: known, but not allowed.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: it does not exist, or belongs to somebody else.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: true in itself, but not together with what is there.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: understood, but a value is not acceptable.
    pub fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422 that names one field.
    pub fn invalid_field(pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = FieldError { pointer: pointer.to_owned(), detail: detail.clone() };
        Self::unprocessable("invalid_field", format!("{pointer} {detail}")).errors(vec![error])
    }

    /// 500: a bug of ours. `cause` goes to the log.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let detail = "something went wrong on our side";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).because(cause)
    }

    /// 503: something we depend on does not answer. `cause` goes to the log.
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "we cannot answer just now")
            .retry_after(2)
            .because(cause)
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn action(mut self, action: impl Into<Cow<'static, str>>) -> Self {
        self.more.action = Some(action.into());
        self
    }

    /// What is wrong with which field.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.more.errors = errors;
        self
    }

    /// A further member of the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// A further member of the body that was set.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.more.extensions.get(name)
    }

    /// A further header of the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.headers.push((name, value));
        self
    }

    /// When to try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, seconds.into())
    }

    /// Why, for our log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.more.cause = Some(Arc::new(cause.into()));
        self
    }

    /// Why it failed. Logged once by [`crate::render_problems`], never sent.
    pub fn cause(&self) -> Option<&anyhow::Error> {
        self.more.cause.as_deref()
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 425 | 429 | 502 | 503 | 504)
    }

    /// The answer's body.
    pub fn body(&self, request_id: Option<&str>) -> Value {
        let mut body = self.more.extensions.clone();
        // A foreign API may have a meaning of its own for it.
        body.entry("type").or_insert_with(|| format!("/problems/{}", self.code).into());
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("title", title(self.code).into());
        put("status", self.status.as_u16().into());
        put("code", self.code.into());
        put("detail", self.detail.as_ref().into());
        put("action", self.more.action.as_deref().unwrap_or_else(|| self.usual_action()).into());
        put("retryable", self.is_retryable().into());
        if !self.more.errors.is_empty() {
            put("errors", serde_json::to_value(&self.more.errors).unwrap_or_default());
        }
        if let Some(id) = request_id {
            put("request_id", id.into());
        }
        body.into()
    }

    fn usual_action(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "Sign in, or send an API key as a bearer token.",
            403 => "Use an account or key that is allowed to do this.",
            404 => "Check the address and the id.",
            429 => "Wait as long as Retry-After says.",
            500..=599 => "Try again; if it stays, tell support the request id.",
            _ => "Correct the request and send it again.",
        }
    }

    pub(crate) fn respond(self, request_id: Option<&str>) -> Response {
        let body = self.body(request_id).to_string();
        let content_type = (header::CONTENT_TYPE, "application/problem+json");
        let mut response = (self.status, [content_type], body).into_response();
        for (name, value) in self.more.headers.clone() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// `project_name_taken` reads "Project name taken".
fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

impl From<sqlx::Error> for Problem {
    /// Infrastructure failures are 503, text that Postgres cannot store is the caller's, the rest is a bug.
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if matches!(code.as_deref(), Some("22021" | "22P05")) {
            Self::unprocessable("invalid_text", "a text contains characters that cannot be stored")
        } else if db::is_outage(&error) {
            Self::unavailable(error)
        } else {
            Self::internal(error)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.respond(None)
    }
}
