//! What the links in mails lead to: a page to look at, and what its button does.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kernel::EmailAddress;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, ClientIp, Json, JsonOrForm, Path, Problem, RateClass, Routes, WantsPage};

use super::confirmation::Proof;
use crate::{
    Auth, Name,
    pages::{ChoosePassword, ConfirmEmail, PressButton, page},
};

/// A wrong password, and one that cannot be chosen.
const ASKED_AGAIN: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::UNPROCESSABLE_ENTITY];

pub(crate) fn routes() -> Routes<Auth> {
    let auth = Access::public().limited_as(RateClass::Auth);
    Routes::new()
        .route(auth, routes!(show_email_verification, verify_email))
        .route(auth, routes!(show_password_reset, reset_password))
        .route(auth, routes!(show_email_change, change_email))
        .route(auth, routes!(show_email_change_reversal, undo_email_change))
}

/// The address that is now known to be theirs.
#[derive(Serialize, ToSchema)]
struct VerifiedEmail {
    email: EmailAddress,
}

/// What somebody registered with, or wants to have registered with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegistrationProof {
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// The password is a new one: you registered nothing yourself, or forgot what you chose.
    #[serde(default)]
    is_new: bool,
    /// With a new password: what you are called. The first part of the address unless given.
    #[schema(max_length = 100, example = "Ada Lovelace")]
    name: Option<String>,
}

impl RegistrationProof {
    fn check(&self) -> web::Result<Proof<'_>> {
        if !self.is_new {
            return Ok(Proof::Registered(&self.password));
        }
        // Forms send what was left empty.
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        Ok(Proof::Chosen(&self.password, name.map(Name::new).transpose()?))
    }
}

/// The password to sign in with from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 256)]
    password: SecretString,
    /// Whether the API keys that you made stop working too.
    #[serde(default)]
    revoke_api_keys: bool,
}

/// The page behind the link in the mail. It changes nothing and does not tell whether the link works.
#[utoipa::path(get, path = "/v1/email-verifications/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_email_verification(State(auth): State<Auth>, _: Path<String>) -> Response {
    auth.ask_for_proof(StatusCode::OK, None)
}

/// Confirm the address that the link was sent to, with the password of the registration or a new one.
/// A link works once, and takes five wrong passwords.
#[utoipa::path(post, path = "/v1/email-verifications/{token}", tag = "identity",
    params(("token" = String, Path)),
    request_body(content(
        (RegistrationProof = "application/json"),
        (RegistrationProof = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = VerifiedEmail, description = "A page, to browsers")))]
async fn verify_email(
    State(auth): State<Auth>,
    Path(token): Path<String>,
    ip: ClientIp,
    WantsPage(wants_page): WantsPage,
    JsonOrForm(proof): JsonOrForm<RegistrationProof>,
) -> web::Result<Response> {
    let verified = auth.verify_email(&token, proof.check()?, ip).await;
    match verified.map_err(Problem::from) {
        Ok(_) if wants_page => Ok(auth.message("Address confirmed", "You can sign in now.")),
        Ok(email) => Ok(Json(VerifiedEmail { email }).into_response()),
        Err(problem) if wants_page && ASKED_AGAIN.contains(&problem.status) => {
            Ok(auth.ask_for_proof(problem.status, Some(&problem.detail)))
        }
        Err(problem) if wants_page => auth.show_problem(problem),
        Err(problem) => Err(problem),
    }
}

/// The page behind the link in the mail. It changes nothing and does not tell whether the link works.
#[utoipa::path(get, path = "/v1/password-resets/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_password_reset(State(auth): State<Auth>, _: Path<String>) -> Response {
    auth.ask_for_password(StatusCode::OK, None)
}

/// Choose a new password. It ends all sessions; a link works once.
#[utoipa::path(post, path = "/v1/password-resets/{token}", tag = "identity",
    params(("token" = String, Path)),
    request_body(content(
        (NewPassword = "application/json"),
        (NewPassword = "application/x-www-form-urlencoded"))),
    responses((status = 204, description = "The password is set"),
              (status = 200, body = String, content_type = "text/html", description = "The same, to browsers")))]
async fn reset_password(
    State(auth): State<Auth>,
    Path(token): Path<String>,
    ip: ClientIp,
    WantsPage(wants_page): WantsPage,
    JsonOrForm(new): JsonOrForm<NewPassword>,
) -> web::Result<Response> {
    let reset = auth.reset_password(&token, &new.password, new.revoke_api_keys, ip).await;
    match reset.map_err(Problem::from) {
        Ok(()) if wants_page => {
            Ok(auth.message("Password changed", "You can sign in with it now."))
        }
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(problem) if wants_page && problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(auth.ask_for_password(problem.status, Some(&problem.detail)))
        }
        Err(problem) if wants_page => auth.show_problem(problem),
        Err(problem) => Err(problem),
    }
}

/// The page behind the link in the mail to a new address. It changes nothing.
#[utoipa::path(get, path = "/v1/email-changes/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_email_change(State(auth): State<Auth>, _: Path<String>) -> Response {
    auth.ask_to_press("Use this address", "Your account will have this address from now on.")
}

/// Make the new address that the link was sent to the account's. A link works once.
#[utoipa::path(post, path = "/v1/email-changes/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = VerifiedEmail, description = "A page, to browsers")))]
async fn change_email(
    State(auth): State<Auth>,
    Path(token): Path<String>,
    ip: ClientIp,
    WantsPage(wants_page): WantsPage,
) -> web::Result<Response> {
    let changed = auth.change_email(&token, ip).await;
    auth.show_address(changed, wants_page, "Address changed", "Sign in with it from now on.")
}

/// The page behind the link in the mail to the former address. It changes nothing.
#[utoipa::path(get, path = "/v1/email-change-reversals/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_email_change_reversal(State(auth): State<Auth>, _: Path<String>) -> Response {
    let text = "Every device will be signed out, and you choose a new password.";
    auth.ask_to_press("Keep my address", text)
}

/// Give the account back to the address that the link was sent to: every session ends, and a link to
/// choose a new password is on its way there.
#[utoipa::path(post, path = "/v1/email-change-reversals/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = VerifiedEmail, description = "A page, to browsers")))]
async fn undo_email_change(
    State(auth): State<Auth>,
    Path(token): Path<String>,
    ip: ClientIp,
    WantsPage(wants_page): WantsPage,
) -> web::Result<Response> {
    let undone = auth.undo_email_change(&token, ip).await;
    let text = "We have mailed you a link to choose a new password.";
    auth.show_address(undone, wants_page, "The address is yours again", text)
}

impl Auth {
    fn ask_for_proof(&self, status: StatusCode, refusal: Option<&str>) -> Response {
        let title = "Confirm your address";
        page(status, &ConfirmEmail { product: self.product(), title, refusal })
    }

    fn ask_for_password(&self, status: StatusCode, refusal: Option<&str>) -> Response {
        let passwords = &self.config.passwords;
        let form = ChoosePassword {
            product: self.product(),
            title: "Choose a new password",
            min_length: passwords.password_min_length,
            max_length: passwords.password_max_length,
            refusal,
        };
        page(status, &form)
    }

    fn ask_to_press(&self, button: &str, text: &str) -> Response {
        let product = self.product();
        page(StatusCode::OK, &PressButton { product, title: button, text, button })
    }

    fn show_address(
        &self,
        done: crate::Result<EmailAddress>,
        wants_page: bool,
        title: &str,
        text: &str,
    ) -> web::Result<Response> {
        match done.map_err(Problem::from) {
            Ok(_) if wants_page => Ok(self.message(title, text)),
            Ok(email) => Ok(Json(VerifiedEmail { email }).into_response()),
            Err(problem) if wants_page => self.show_problem(problem),
            Err(problem) => Err(problem),
        }
    }
}
