use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};

use crate::Problem;

/// The version of an editable resource, sent as a strong `ETag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etag(pub i64);

impl IntoResponseParts for Etag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let value = HeaderValue::try_from(format!("\"{}\"", self.0));
        parts.headers_mut().extend(value.ok().map(|value| (header::ETAG, value)));
        Ok(parts)
    }
}

/// The version that the client believes it edits, from `If-Match`; absent or `*`: any.
#[derive(Clone, Copy, Debug)]
pub struct IfMatch(Option<i64>);

impl IfMatch {
    /// Any version will do.
    pub const ANY: Self = Self(None);

    /// Refuses an edit of anything but `current`.
    pub fn check(self, current: i64) -> Result<(), Problem> {
        match self.0 {
            Some(expected) if expected != current => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "stale_version",
                "somebody changed this since you read it",
            )
            .action("Read it again and repeat your change.")),
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let stale = || Problem::bad_request("invalid_if_match", "If-Match is not an ETag of ours");
        number.parse().map(|version| Self(Some(version))).map_err(|_| stale())
    }
}
