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
use web::{Access, ClientIp, Json, Path, Problem, RateClass, Routes};

use crate::{
    Auth,
    pages::{ChoosePassword, ConfirmEmail, JsonOrForm, Message, WantsPage, page},
};

const CONFIRM: &str = "Confirm your address";
const CHOOSE: &str = "Choose a new password";

pub(crate) fn routes() -> Routes<Auth> {
    let auth = Access::public().limited_as(RateClass::Auth);
    Routes::new()
        .route(auth, routes!(show_email_verification, verify_email))
        .route(auth, routes!(show_password_reset, reset_password))
}

/// The address that is now known to be theirs.
#[derive(Serialize, ToSchema)]
struct VerifiedEmail {
    email: EmailAddress,
}

/// The password to sign in with from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128)]
    password: SecretString,
}

/// The page behind the link in the mail. It changes nothing and does not tell whether the link works.
#[utoipa::path(get, path = "/v1/email-verifications/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_email_verification(State(auth): State<Auth>, _: Path<String>) -> Response {
    page(StatusCode::OK, &ConfirmEmail { product: auth.product(), title: CONFIRM })
}

/// Confirm the address that the link was sent to. A link works once.
#[utoipa::path(post, path = "/v1/email-verifications/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = VerifiedEmail, description = "A page, to browsers")))]
async fn verify_email(
    State(auth): State<Auth>,
    Path(token): Path<String>,
    ip: ClientIp,
    WantsPage(wants_page): WantsPage,
) -> web::Result<Response> {
    match auth.verify_email(&token, ip).await.map_err(Problem::from) {
        Ok(_) if wants_page => Ok(auth.message("Address confirmed", "You can sign in now.")),
        Ok(email) => Ok(Json(VerifiedEmail { email }).into_response()),
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
    match auth.reset_password(&token, &new.password, ip).await.map_err(Problem::from) {
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

impl Auth {
    fn product(&self) -> &str {
        self.mailer.product()
    }

    fn ask_for_password(&self, status: StatusCode, refusal: Option<&str>) -> Response {
        let min_length = self.password_min_length;
        page(
            status,
            &ChoosePassword { product: self.product(), title: CHOOSE, min_length, refusal },
        )
    }

    fn message(&self, title: &str, text: &str) -> Response {
        page(StatusCode::OK, &Message { product: self.product(), title, text })
    }

    /// A link that does not work is explained on a page; anything else stays a problem.
    fn show_problem(&self, problem: Problem) -> web::Result<Response> {
        if problem.status != StatusCode::BAD_REQUEST {
            return Err(problem);
        }
        let text = format!("{}. Please ask for a new one.", problem.detail);
        let title = "This link does not work";
        Ok(page(problem.status, &Message { product: self.product(), title, text: &text }))
    }
}
