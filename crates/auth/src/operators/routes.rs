use axum::{extract::State, http::StatusCode};
use kernel::EmailAddress;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Operator, RateClass, Routes};

use super::{Enrolled, Enrolment, OperatorToken};
use crate::{Auth, Device};

pub(super) fn routes() -> Routes<Auth> {
    let public = Access::public().limited_as(RateClass::Auth);
    Routes::new()
        .route(public, routes!(sign_in_operator))
        .route(public, routes!(begin_operator_enrolment))
        .route(public, routes!(finish_operator_enrolment))
        .route(Access::operators(), routes!(sign_out_operator))
}

/// Both factors.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOperatorSession {
    email: EmailAddress,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// Six digits from the authenticator, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    code: SecretString,
}

/// An invitation taken up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEnrolment {
    /// From the invitation.
    #[schema(value_type = String)]
    token: SecretString,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// The proof that the authenticator works.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EnrolmentProof {
    /// From the invitation.
    #[schema(value_type = String)]
    token: SecretString,
    /// Six digits from the authenticator.
    #[schema(value_type = String, example = "123456")]
    code: SecretString,
}

/// Sign in as an operator, with both factors.
#[utoipa::path(post, path = "/admin/v1/sessions", tag = "operators", request_body = NewOperatorSession,
    responses((status = 201, body = OperatorToken)))]
async fn sign_in_operator(
    State(auth): State<Auth>,
    device: Device,
    Json(new): Json<NewOperatorSession>,
) -> web::Result<(StatusCode, Json<OperatorToken>)> {
    let code = new.code.expose_secret().trim();
    let token = auth.sign_in_operator(&new.email, &new.password, code, &device).await?;
    Ok((StatusCode::CREATED, Json(token)))
}

/// Sign out as an operator: the token stops working at once.
#[utoipa::path(delete, path = "/admin/v1/sessions/current", tag = "operators",
    responses((status = 204, description = "The session has ended")))]
async fn sign_out_operator(
    State(auth): State<Auth>,
    operator: Operator,
) -> web::Result<StatusCode> {
    auth.sign_out_operator(operator).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take up an invitation: choose a password, and receive a second factor.
#[utoipa::path(post, path = "/admin/v1/enrolments", tag = "operators", request_body = NewEnrolment,
    responses((status = 201, body = Enrolment)))]
async fn begin_operator_enrolment(
    State(auth): State<Auth>,
    device: Device,
    Json(new): Json<NewEnrolment>,
) -> web::Result<(StatusCode, Json<Enrolment>)> {
    let token = new.token.expose_secret();
    let enrolment = auth.begin_enrolment(token, &new.password, &device).await?;
    Ok((StatusCode::CREATED, Json(enrolment)))
}

/// Prove that the second factor works, which makes the operator one.
#[utoipa::path(post, path = "/admin/v1/enrolment-proofs", tag = "operators", request_body = EnrolmentProof,
    responses((status = 201, body = Enrolled)))]
async fn finish_operator_enrolment(
    State(auth): State<Auth>,
    device: Device,
    Json(proof): Json<EnrolmentProof>,
) -> web::Result<(StatusCode, Json<Enrolled>)> {
    let (token, code) = (proof.token.expose_secret(), proof.code.expose_secret().trim());
    let enrolled = auth.finish_enrolment(token, code, &device).await?;
    Ok((StatusCode::CREATED, Json(enrolled)))
}
