use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use kernel::EmailAddress;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, RateClass, Role, Routes};

use super::{
    session_of,
    transport::{Transport, clear_cookies, refresh_token},
};
use crate::{Auth, Device, Tokens};

const SIGN_OUT: Permission = Permission { name: "sessions:end", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::public().limited_as(RateClass::Auth), routes!(sign_in))
        .route(Access::public(), routes!(refresh_tokens))
        .route(Access::to(SIGN_OUT).even_in_a_suspended_org(), routes!(sign_out))
}

/// What to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSession {
    email: EmailAddress,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// Where the tokens go: into the answer, or into cookies that no script can read.
    #[serde(default)]
    transport: Transport,
}

/// What to go on with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    /// Absent where it is in a cookie.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// Sign in.
///
/// Where a second factor is on, the answer is a problem `second_factor_required` with a `challenge`
/// for `POST /v1/sessions/second-factor`, or for `POST /v1/passkey-ceremonies` if `passkey` is true.
#[utoipa::path(post, path = "/v1/sessions", tag = "identity", request_body = NewSession,
    responses((status = 201, body = Tokens)))]
async fn sign_in(
    State(auth): State<Auth>,
    device: Device,
    headers: HeaderMap,
    Json(new): Json<NewSession>,
) -> web::Result<Response> {
    let tokens = auth.sign_in(&new.email, &new.password, &device).await?;
    Ok(auth.deliver(&headers, new.transport, tokens).await?)
}

/// Exchange a refresh token for the next pair of tokens.
///
/// A refresh token is used once. For ten seconds it gives the same successor again, to other tabs;
/// later once more another one, if the answer was lost. Anything beyond ends the session.
#[utoipa::path(post, path = "/v1/tokens", tag = "identity", request_body = TokenRequest,
    responses((status = 201, body = Tokens)))]
async fn refresh_tokens(
    State(auth): State<Auth>,
    device: Device,
    headers: HeaderMap,
    Json(request): Json<TokenRequest>,
) -> web::Result<Response> {
    let given = request.refresh_token.as_ref().map(ExposeSecret::expose_secret);
    let (token, transport) = refresh_token(&headers, given)?;
    let in_cookie = auth.session_of_access_cookie(&headers);
    Ok(transport.answer(auth.refresh(&token, in_cookie, &device).await?))
}

/// Sign out: the session's tokens stop working at once.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "identity",
    responses((status = 204, description = "The session has ended")))]
async fn sign_out(State(auth): State<Auth>, caller: Caller) -> web::Result<Response> {
    if let Some(session) = session_of(&caller) {
        auth.sign_out(session).await?;
    }
    Ok((StatusCode::NO_CONTENT, clear_cookies()).into_response())
}
