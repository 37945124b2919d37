use axum::{extract::State, http::StatusCode};
use kernel::EmailAddress;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, ClientIp, Json, RateClass, Routes};

use crate::{Auth, Name, Registration};

pub(crate) fn routes() -> Routes<Auth> {
    let auth = Access::public().limited_as(RateClass::Auth);
    let reset = Access::public().limited_as(RateClass::PasswordReset);
    Routes::new()
        .route(auth, routes!(register))
        .route(auth, routes!(request_email_verification))
        .route(reset, routes!(request_password_reset))
}

/// What to register with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    email: EmailAddress,
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128)]
    password: SecretString,
    #[schema(min_length = 1, max_length = 100, example = "Ada Lovelace")]
    name: String,
    /// Where registering takes one.
    invite_code: Option<String>,
}

/// Whose mailbox a link is to be sent to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkRequest {
    email: EmailAddress,
}

/// Register.
///
/// The answer is the same whether or not the address has an account; the mail sent to it says more.
#[utoipa::path(post, path = "/v1/users", tag = "identity", request_body = NewUser,
    responses((status = 202, description = "A mail is on its way to the address")))]
async fn register(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(new): Json<NewUser>,
) -> web::Result<StatusCode> {
    let (name, invite_code) = (Name::new(&new.name)?, new.invite_code);
    let new = Registration { email: new.email, name, password: new.password };
    auth.register(&new, invite_code.as_deref(), ip).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Ask for another link to confirm an address.
///
/// The answer is the same whether or not the address has an account that waits for one.
#[utoipa::path(post, path = "/v1/email-verifications", tag = "identity", request_body = LinkRequest,
    responses((status = 202, description = "If there is such an account, a mail is on its way")))]
async fn request_email_verification(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(request): Json<LinkRequest>,
) -> web::Result<StatusCode> {
    auth.request_verification(request.email, ip).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Ask for a link to choose a new password.
///
/// The answer is the same whether or not the address has an account.
#[utoipa::path(post, path = "/v1/password-resets", tag = "identity", request_body = LinkRequest,
    responses((status = 202, description = "If there is such an account, a mail is on its way")))]
async fn request_password_reset(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(request): Json<LinkRequest>,
) -> web::Result<StatusCode> {
    auth.request_password_reset(request.email, ip).await?;
    Ok(StatusCode::ACCEPTED)
}
