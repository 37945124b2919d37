use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use web::{ACCESS_COOKIE, COOKIES, Json, Problem, REFRESH_COOKIE};

use super::Tokens;

/// Where the tokens of a session go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Transport {
    /// Into the answer, for programs that keep them and send `Authorization`.
    #[default]
    Bearer,
    /// Into cookies that no script can read, for browsers.
    Cookie,
}

impl Transport {
    /// The answer to a sign-in or a refresh.
    pub(crate) fn deliver(self, mut tokens: Tokens) -> Response {
        let mut headers = HeaderMap::new();
        if self == Self::Cookie {
            headers = into_cookies(&mut tokens);
        }
        (StatusCode::CREATED, headers, Json(tokens)).into_response()
    }
}

/// Moves the tokens into cookies. The browser forgets both with the session; an access token that
/// has expired is refreshed.
pub(crate) fn into_cookies(tokens: &mut Tokens) -> HeaderMap {
    let life = tokens.session_life.to_std().unwrap_or_default();
    let access = tokens.access_token.take().unwrap_or_default();
    let refresh = tokens.refresh_token.take().unwrap_or_default();
    tokens.token_type = "Cookie";
    let mut headers = HeaderMap::new();
    for (name, value) in [(ACCESS_COOKIE, access), (REFRESH_COOKIE, refresh)] {
        headers.append(header::SET_COOKIE, set_cookie(name, &value, life));
    }
    headers
}

/// A cookie of ours: for this host alone, with TLS alone, out of reach of scripts, and not sent with
/// what other sites' pages do, except for following a link.
pub(crate) fn set_cookie(name: &str, value: &str, life: Duration) -> HeaderValue {
    let life = life.as_secs();
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={life}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Makes the browser forget every cookie of ours.
pub(crate) fn clear_cookies() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in COOKIES {
        headers.append(header::SET_COOKIE, set_cookie(name, "", Duration::ZERO));
    }
    headers
}

/// The refresh token to exchange: from the body or from the cookie, never from both, since they may
/// be two people's.
pub(super) fn refresh_token(
    headers: &HeaderMap,
    body: Option<&str>,
) -> Result<(String, Transport), Problem> {
    let cookie = web::cookie(headers, REFRESH_COOKIE);
    match (body, cookie) {
        (Some(_), Some(_)) => Err(mixed_credentials()),
        (Some(token), None) => Ok((token.to_owned(), Transport::Bearer)),
        (None, Some(token)) => Ok((token.to_owned(), Transport::Cookie)),
        (None, None) => {
            Err(Problem::invalid_field("/refresh_token", "is missing, and there is no cookie"))
        }
    }
}

/// Cookies and tokens in one request.
pub(crate) fn mixed_credentials() -> Problem {
    let detail =
        "the request carries the cookies of a session and a token, which may be of two people";
    Problem::new(StatusCode::UNAUTHORIZED, "mixed_credentials", detail)
        .action("Send one of the two: cookies from a browser, a token from a program.")
}
