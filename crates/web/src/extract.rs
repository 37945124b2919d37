#![expect(clippy::disallowed_types, reason = "these are the wrappers")]

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{FieldError, Problem};

/// `axum::Json` whose rejection is a [`Problem`].
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let RawJson(body) = RawJson::from_request(request, state).await?;
        if contains_nul(&body) {
            let detail = "texts must not contain the character U+0000";
            return Err(Problem::unprocessable("invalid_text", detail));
        }
        axum::Json::from_bytes(&body).map(|axum::Json(body)| Self(body)).map_err(rejected)
    }
}

/// A body sent as JSON, not parsed: for handlers that pass it on.
#[derive(Clone, Debug)]
pub struct RawJson(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        let body = Bytes::from_request(request, state).await;
        body.map(Self).map_err(|rejection| too_large_or_cut(rejection.status()))
    }
}

impl RawJson {
    /// Reads the parts of the body that the handler needs to know.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // The slow way also knows at which field it failed.
        let read = serde_json::from_slice(&self.0);
        let read = read.or_else(|_| axum::Json::from_bytes(&self.0).map(|axum::Json(body)| body));
        read.map_err(rejected)
    }
}

fn require_json(request: &Request) -> Result<(), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "the body must be sent as application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
        .action("Send the header Content-Type: application/json."))
}

fn too_large_or_cut(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(status, "body_too_large", "the body is larger than this address accepts")
    } else {
        Problem::bad_request("incomplete_body", "the body ended early")
    }
}

fn rejected(rejection: JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonDataError(error) => {
            let text = error.body_text();
            let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason);
            let error = FieldError { pointer: pointer(reason), detail: reason.to_owned() };
            Problem::unprocessable("invalid_body", reason.to_owned()).errors(vec![error])
        }
        other => Problem::bad_request("malformed_json", other.body_text())
            .action("Send one well-formed JSON document."),
    }
}

/// `user.emails[0]: invalid type …` points at `/user/emails/0`; a bare message points at the whole body.
fn pointer(reason: &str) -> String {
    match reason.split_once(": ") {
        Some((path, _)) if !path.contains(' ') => {
            let path = path.replace(['.', '['], "/").replace(']', "");
            format!("/{path}")
        }
        _ => String::new(),
    }
}

/// Postgres cannot store U+0000, so it is refused for every text at once: raw, or as an escape.
fn contains_nul(body: &[u8]) -> bool {
    let mut escaped = false;
    for (at, &byte) in body.iter().enumerate() {
        if byte == 0 || (escaped && body[at..].starts_with(b"u0000")) {
            return true;
        }
        escaped = byte == b'\\' && !escaped;
    }
    false
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// `axum::extract::Path` whose rejection is a [`Problem`]: an id that cannot exist is not found.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::not_found("invalid_id", "the address contains an invalid id")),
        }
    }
}

/// `axum::extract::Query` whose rejection is a [`Problem`].
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::unprocessable("invalid_query", rejection.body_text())),
        }
    }
}

/// A small page of ours, for links that people open from a mail: no scripts, styles only inline,
/// forms only to ourselves.
#[derive(Clone, Debug)]
pub struct Html(pub String);

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      frame-ancestors 'none'";
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, policy),
        ];
        (headers, self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::{contains_nul, pointer};

    #[test]
    fn nul_is_found_raw_and_escaped_but_not_behind_an_escaped_backslash() {
        assert!(contains_nul(b"\"a\0b\""));
        assert!(contains_nul(br#""a\u0000b""#));
        assert!(contains_nul(br#""\\\u0000""#));
        assert!(!contains_nul(br#""\\u0000""#));
        assert!(!contains_nul(br#""u0000""#));
    }

    #[test]
    fn serde_paths_become_json_pointers() {
        assert_eq!(pointer("user.emails[0]: invalid type"), "/user/emails/0");
        assert_eq!(pointer("missing field `name` at line 1"), "");
    }
}
