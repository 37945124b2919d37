use audit::Origin;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, ClientIp, Json, JsonOrForm, Path, Permission, Problem, RateClass, Role, Routes,
    SIGN_IN_COOKIE, WantsPage, cookie,
};

use super::{factor::Factors, manage::NewAuthenticator, recovery_code};
use crate::{
    Auth, Device, Tokens,
    sessions::{session_of, transport::Transport},
};

const READ: Permission = Permission { name: "second_factor:read", roles: &Role::ALL, keys: false };
const WRITE: Permission =
    Permission { name: "second_factor:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    let write = Access::to(WRITE).limited_as(RateClass::Auth).after_recent_sign_in();
    let write = write.even_in_a_suspended_org();
    Routes::new()
        .route(Access::public().limited_as(RateClass::Auth), routes!(prove_second_factor))
        .route(Access::to(READ).even_in_a_suspended_org(), routes!(show_second_factor))
        .route(write, routes!(prepare_second_factor))
        .route(write, routes!(confirm_second_factor))
        .route(write, routes!(remove_second_factor))
        .route(write, routes!(renew_recovery_codes))
        .route(Access::operators().after_recent_sign_in(), routes!(reset_second_factor))
}

/// The second factor, after the first.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactorProof {
    /// From the answer to the first factor; absent where it is in a cookie.
    #[schema(value_type = Option<String>)]
    challenge: Option<SecretString>,
    /// Six digits from the authenticator, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    code: SecretString,
    #[serde(default)]
    transport: Transport,
}

/// A code from the authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuthenticatorCode {
    #[schema(value_type = String, example = "123456")]
    code: SecretString,
}

/// Whether a second factor is asked for.
#[derive(Serialize, ToSchema)]
struct SecondFactorState {
    on: bool,
    since: Option<DateTime<Utc>>,
    /// Whether the codes of an authenticator are one.
    authenticator: bool,
    /// How many passkeys are.
    passkeys: i64,
    /// How many recovery codes can still be used.
    recovery_codes_left: i64,
}

/// Each lets its owner in once, without the authenticator. They cannot be shown again.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Sign in with the second factor, after the first. Five wrong codes end the attempt.
#[utoipa::path(post, path = "/v1/sessions/second-factor", tag = "identity",
    request_body(content(
        (SecondFactorProof = "application/json"),
        (SecondFactorProof = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = Tokens)))]
async fn prove_second_factor(
    State(auth): State<Auth>,
    device: Device,
    WantsPage(wants_page): WantsPage,
    headers: HeaderMap,
    JsonOrForm(proof): JsonOrForm<SecondFactorProof>,
) -> web::Result<Response> {
    let here = cookie(&headers, SIGN_IN_COOKIE);
    let given = proof.challenge.as_ref().map(ExposeSecret::expose_secret);
    // A page's form must come from the browser that proved the first factor: otherwise others could
    // sign somebody in to an account of theirs.
    let challenge = if wants_page { here } else { given.or(here) };
    let challenge = challenge.ok_or_else(|| Problem::invalid_field("/challenge", "is missing"))?;
    let proved = auth.prove_second_factor(challenge, proof.code.expose_secret(), &device).await;
    if wants_page {
        return auth.signed_in_page(&headers, proved).await;
    }
    Ok(auth.deliver(&headers, proof.transport, proved?).await?)
}

/// Is a second factor on?
#[utoipa::path(get, path = "/v1/me/second-factor", tag = "identity",
    responses((status = 200, body = SecondFactorState)))]
async fn show_second_factor(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<Json<SecondFactorState>> {
    let factors = Factors::of(auth.db.pool(), caller.user).await?;
    Ok(Json(SecondFactorState {
        on: factors.since().is_some(),
        since: factors.since(),
        authenticator: factors.authenticator_since.is_some(),
        passkeys: factors.passkeys,
        recovery_codes_left: recovery_code::left(auth.db.pool(), caller.user).await?,
    }))
}

/// Get a secret for an authenticator. The second factor is off until a code has proved that it works.
#[utoipa::path(post, path = "/v1/me/second-factor", tag = "identity",
    responses((status = 201, body = NewAuthenticator)))]
async fn prepare_second_factor(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<(StatusCode, Json<NewAuthenticator>)> {
    Ok((StatusCode::CREATED, Json(auth.prepare_second_factor(&caller).await?)))
}

/// Turn the authenticator on with a first code. Every other session ends.
#[utoipa::path(post, path = "/v1/me/second-factor/proof", tag = "identity",
    request_body = AuthenticatorCode, responses((status = 201, body = RecoveryCodes)))]
async fn confirm_second_factor(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Json(proof): Json<AuthenticatorCode>,
) -> web::Result<(StatusCode, Json<RecoveryCodes>)> {
    let session = session_of(&caller);
    let code = proof.code.expose_secret();
    let recovery_codes = auth.confirm_second_factor(&caller, session, code, ip).await?;
    Ok((StatusCode::CREATED, Json(RecoveryCodes { recovery_codes })))
}

/// Turn the authenticator off, with one last code. Every other session ends.
#[utoipa::path(post, path = "/v1/me/second-factor/removal", tag = "identity",
    request_body = AuthenticatorCode,
    responses((status = 204, description = "No code of the authenticator is asked for any more")))]
async fn remove_second_factor(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Json(proof): Json<AuthenticatorCode>,
) -> web::Result<StatusCode> {
    let session = session_of(&caller);
    auth.remove_second_factor(&caller, session, proof.code.expose_secret(), ip).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get new recovery codes; the earlier ones stop working.
#[utoipa::path(post, path = "/v1/me/recovery-codes", tag = "identity",
    responses((status = 201, body = RecoveryCodes)))]
async fn renew_recovery_codes(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
) -> web::Result<(StatusCode, Json<RecoveryCodes>)> {
    let recovery_codes = auth.renew_recovery_codes(&caller, ip).await?;
    Ok((StatusCode::CREATED, Json(RecoveryCodes { recovery_codes })))
}

/// Turn off the second factor of a user who has lost it, passkeys included. Make sure of who they are first.
#[utoipa::path(post, path = "/admin/v1/users/{id}/second-factor-reset", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The second factor is off; the user was told")))]
async fn reset_second_factor(
    State(auth): State<Auth>,
    origin: Origin,
    Path(id): Path<Id<User>>,
) -> web::Result<StatusCode> {
    auth.reset_second_factor(id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
