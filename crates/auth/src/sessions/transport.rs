use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kernel::Id;
use serde::Deserialize;
use utoipa::ToSchema;
use web::{ACCESS_COOKIE, COOKIES, Json, Problem, REFRESH_COOKIE};

use super::{Session, Tokens, refresh_token::RefreshToken};
use crate::{Auth, Result};

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
    /// The answer that hands tokens out. After a sign-in it is [`Auth::deliver`] that gives it.
    pub(super) fn answer(self, mut tokens: Tokens) -> Response {
        let mut headers = HeaderMap::new();
        if self == Self::Cookie {
            headers = into_cookies(&mut tokens);
        }
        (StatusCode::CREATED, headers, Json(tokens)).into_response()
    }
}

impl Auth {
    /// The answer to a sign-in, however it was proved.
    pub(crate) async fn deliver(
        &self,
        headers: &HeaderMap,
        transport: Transport,
        tokens: Tokens,
    ) -> Result<Response> {
        if transport == Transport::Cookie {
            self.end_session_before(headers).await?;
        }
        Ok(transport.answer(tokens))
    }

    /// Ends the session that the browser had before it signed in: its cookies are about to be
    /// overwritten, and nobody could end it any more.
    pub(super) async fn end_session_before(&self, headers: &HeaderMap) -> Result<()> {
        let mut before = None;
        if let Some(token) = web::cookie(headers, REFRESH_COOKIE) {
            let hash = RefreshToken::presented(token).hash();
            before = Session::of_refresh_token(self.db.pool(), &hash).await?;
        }
        match before.or_else(|| self.session_of_access_cookie(headers)) {
            Some(before) => self.sign_out(before).await,
            None => Ok(()),
        }
    }

    /// The session whose access token the browser has, expired or not.
    pub(super) fn session_of_access_cookie(&self, headers: &HeaderMap) -> Option<Id<Session>> {
        let token = web::cookie(headers, ACCESS_COOKIE)?;
        Some(self.access_tokens.read(token)?.sid)
    }
}

/// Moves the tokens into cookies. The browser forgets both with the session; an access token that
/// has expired is refreshed.
pub(super) fn into_cookies(tokens: &mut Tokens) -> HeaderMap {
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
) -> web::Result<(String, Transport)> {
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
