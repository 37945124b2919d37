use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
};
use kernel::EmailAddress;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, ClientIp, Credential, Json, Permission, Problem, RateClass, Role, Routes,
};

use crate::{Auth, Device, Tokens};

const SIGN_OUT: Permission = Permission { name: "sessions:end", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::public().limited_as(RateClass::Auth), routes!(sign_in))
        .route(Access::public(), routes!(refresh_tokens))
        .route(Access::to(SIGN_OUT), routes!(sign_out))
}

/// What to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSession {
    email: EmailAddress,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// What to go on with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

impl<S: Sync> FromRequestParts<S> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> web::Result<Self> {
        let ip = ClientIp::from_request_parts(parts, state).await?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok());
        Ok(Self { ip, user_agent: user_agent.map(|it| it.chars().take(256).collect()) })
    }
}

/// Sign in.
#[utoipa::path(post, path = "/v1/sessions", tag = "identity", request_body = NewSession,
    responses((status = 201, body = Tokens)))]
async fn sign_in(
    State(auth): State<Auth>,
    device: Device,
    Json(new): Json<NewSession>,
) -> web::Result<(StatusCode, Json<Tokens>)> {
    let tokens = auth.sign_in(&new.email, &new.password, &device).await?;
    Ok((StatusCode::CREATED, Json(tokens)))
}

/// Exchange a refresh token for the next pair of tokens.
///
/// A refresh token is used once; if the answer was lost, sending the same token again gives the same
/// successor. Using one whose successor was used too ends the session.
#[utoipa::path(post, path = "/v1/tokens", tag = "identity", request_body = TokenRequest,
    responses((status = 201, body = Tokens)))]
async fn refresh_tokens(
    State(auth): State<Auth>,
    Json(request): Json<TokenRequest>,
) -> web::Result<(StatusCode, Json<Tokens>)> {
    let tokens = auth.refresh(request.refresh_token.expose_secret()).await?;
    Ok((StatusCode::CREATED, Json(tokens)))
}

/// Sign out: the session's tokens stop working at once.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "identity",
    responses((status = 204, description = "The session has ended")))]
async fn sign_out(State(auth): State<Auth>, caller: Caller) -> web::Result<StatusCode> {
    if let Credential::Session(session) = caller.credential {
        auth.sign_out(session.into()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
