use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use kernel::EmailAddress;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, ClientIp, Json, Path, Problem, RateClass, Routes, SIGN_IN_COOKIE, cookie};

use crate::{
    Auth, Device, Error, Result, Tokens, lifetimes,
    pages::{SecondFactorForm, TypeCode, page},
    sessions::transport::{Transport, into_cookies, set_cookie},
};

pub(crate) fn routes() -> Routes<Auth> {
    let auth = Access::public().limited_as(RateClass::Auth);
    Routes::new()
        .route(auth, routes!(request_magic_link))
        .route(auth, routes!(sign_in_with_code))
        .route(auth, routes!(show_magic_link, follow_magic_link))
}

/// Whom to send a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MagicLinkRequest {
    email: EmailAddress,
    /// Where the session's tokens will go.
    #[serde(default)]
    transport: Transport,
}

/// What the code works together with.
#[derive(Serialize, ToSchema)]
struct MagicLinkAsked {
    /// To be sent with the code; a browser that asked for cookies has it in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    /// Seconds until both stop working.
    #[schema(example = 600)]
    expires_in: i64,
}

/// A code from a mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeFromMail {
    /// From the answer to the request; absent where it is in a cookie.
    #[schema(value_type = Option<String>)]
    challenge: Option<SecretString>,
    #[schema(value_type = String, example = "7K3M-9QRT")]
    code: SecretString,
    #[serde(default)]
    transport: Transport,
}

/// Ask for a code to sign in with, by mail.
///
/// The answer is the same whether or not the address has an account.
#[utoipa::path(post, path = "/v1/magic-links", tag = "identity", request_body = MagicLinkRequest,
    responses((status = 202, body = MagicLinkAsked,
               description = "If there is such an account, a mail is on its way")))]
async fn request_magic_link(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(request): Json<MagicLinkRequest>,
) -> web::Result<Response> {
    let challenge = auth.request_magic_link(request.email, ip).await?;
    let expires_in = lifetimes::SIGN_IN_STEP.num_seconds();
    let mut headers = HeaderMap::new();
    let challenge = if request.transport == Transport::Cookie {
        headers.insert(header::SET_COOKIE, sign_in_cookie(&challenge));
        None
    } else {
        Some(challenge)
    };
    let asked = MagicLinkAsked { challenge, expires_in };
    Ok((StatusCode::ACCEPTED, headers, Json(asked)).into_response())
}

/// Sign in with a code from a mail, where it was asked for. Five wrong ones use it up.
#[utoipa::path(post, path = "/v1/sessions/magic-link", tag = "identity",
    request_body = CodeFromMail, responses((status = 201, body = Tokens)))]
async fn sign_in_with_code(
    State(auth): State<Auth>,
    device: Device,
    headers: HeaderMap,
    Json(proof): Json<CodeFromMail>,
) -> web::Result<Response> {
    let given = proof.challenge.as_ref().map(ExposeSecret::expose_secret);
    let challenge = given.or_else(|| cookie(&headers, SIGN_IN_COOKIE));
    let challenge = challenge.ok_or_else(|| Problem::invalid_field("/challenge", "is missing"))?;
    let tokens = auth.sign_in_with_code(challenge, proof.code.expose_secret(), &device).await?;
    Ok(auth.deliver(&headers, proof.transport, tokens).await?)
}

/// The page behind the link in the mail: a button where it was asked for, the code elsewhere.
#[utoipa::path(get, path = "/v1/magic-links/{code}", tag = "identity",
    params(("code" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_magic_link(
    State(auth): State<Auth>,
    headers: HeaderMap,
    Path(code): Path<String>,
) -> Response {
    let here = cookie(&headers, SIGN_IN_COOKIE).is_some();
    page(StatusCode::OK, &TypeCode { product: auth.product(), title: "Sign in", code: &code, here })
}

/// Sign in, in the browser that asked for the link.
#[utoipa::path(post, path = "/v1/magic-links/{code}", tag = "identity",
    params(("code" = String, Path)),
    responses((status = 201, body = String, content_type = "text/html")))]
async fn follow_magic_link(
    State(auth): State<Auth>,
    device: Device,
    headers: HeaderMap,
    Path(code): Path<String>,
) -> web::Result<Response> {
    let challenge = cookie(&headers, SIGN_IN_COOKIE).ok_or(Error::InvalidMailCode)?;
    let signed_in = auth.sign_in_with_code(challenge, &code, &device).await;
    auth.signed_in_page(&headers, signed_in).await
}

impl Auth {
    /// What a browser sees after proving the first factor, or both, on one of our pages.
    pub(crate) async fn signed_in_page(
        &self,
        headers: &HeaderMap,
        signed_in: Result<Tokens>,
    ) -> web::Result<Response> {
        match signed_in {
            Ok(mut tokens) => {
                self.end_session_before(headers).await?;
                let seen = self.message("You are signed in", "You can go on to the product.");
                Ok((StatusCode::CREATED, into_cookies(&mut tokens), seen).into_response())
            }
            Err(Error::SecondFactorRequired { challenge, .. }) => {
                let form = SecondFactorForm {
                    product: self.product(),
                    title: "Second factor",
                    refusal: None,
                };
                let mut answer = page(StatusCode::OK, &form);
                answer.headers_mut().insert(header::SET_COOKIE, sign_in_cookie(&challenge));
                Ok(answer)
            }
            Err(error) => self.show_problem(error.into()),
        }
    }
}

/// Binds a sign-in that takes several steps to this browser.
pub(crate) fn sign_in_cookie(challenge: &str) -> axum::http::HeaderValue {
    let life = lifetimes::SIGN_IN_STEP.to_std().unwrap_or_default();
    set_cookie(SIGN_IN_COOKIE, challenge, life)
}
