use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use kernel::Id;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{
    Access, Caller, ClientIp, Json, JsonOrForm, Path, Permission, Problem, Query, RateClass, Role,
    Routes, SIGN_IN_COOKIE, WantsPage, cookie,
};

use super::{
    flow::{Begun, For, Outcome, Return},
    identity::Identity,
};
use crate::{
    Auth, Device, Error,
    pages::{ComeBack, page},
    sessions::{session_of, sign_in_cookie, transport::Transport},
};

const READ: Permission = Permission { name: "identities:read", roles: &Role::ALL, keys: false };
const WRITE: Permission = Permission { name: "identities:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    let public = Access::public().limited_as(RateClass::Auth);
    let write = Access::to(WRITE).limited_as(RateClass::Auth).after_recent_sign_in();
    let write = write.even_in_a_suspended_org();
    Routes::new()
        .route(Access::public(), routes!(list_identity_providers))
        .route(public, routes!(begin_social_login))
        .route(public, routes!(show_social_login_callback, finish_social_login))
        .route(Access::to(READ).even_in_a_suspended_org(), routes!(list_identities))
        .route(write, routes!(link_identity))
        .route(write, routes!(unlink_identity))
}

/// Whom people can sign in with.
#[derive(Serialize, ToSchema)]
struct IdentityProviders {
    #[schema(example = json!(["google", "github"]))]
    items: Vec<String>,
}

/// Whose account to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSocialLogin {
    /// One of `GET /v1/identity-providers`.
    #[schema(example = "google")]
    provider: String,
    /// Where the tokens go.
    #[serde(default)]
    transport: Transport,
    /// Lets somebody register who has no account yet, where that takes an invitation.
    invite_code: Option<String>,
}

/// Whose account to sign in with in future.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewIdentity {
    /// One of `GET /v1/identity-providers`.
    #[schema(example = "github")]
    provider: String,
}

/// Where to send the browser. Its answer sets a cookie, without which nobody comes back.
#[derive(Serialize, ToSchema)]
struct SocialLoginBegun {
    #[schema(value_type = String, format = "uri")]
    authorization_url: Url,
}

/// What a provider appends to the address that it sends the browser back to.
#[derive(Deserialize, IntoParams)]
struct Callback {
    state: Option<String>,
    code: Option<String>,
    /// Who answers (RFC 9207).
    iss: Option<String>,
}

/// The same, as posted by our page or by yours.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SocialLoginReturn {
    #[schema(value_type = String)]
    state: SecretString,
    /// Absent if the person declined.
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
    /// Who answers (RFC 9207).
    iss: Option<String>,
}

/// The accounts elsewhere that you sign in with.
#[derive(Serialize, ToSchema)]
struct Identities {
    items: Vec<Identity>,
}

/// List whose accounts people can sign in with.
#[utoipa::path(get, path = "/v1/identity-providers", tag = "identity",
    responses((status = 200, body = IdentityProviders)))]
async fn list_identity_providers(State(auth): State<Auth>) -> Json<IdentityProviders> {
    Json(IdentityProviders { items: auth.providers.names().map(str::to_owned).collect() })
}

/// Begin to sign in with an account elsewhere: send the browser to the address in the answer.
#[utoipa::path(post, path = "/v1/social-logins", tag = "identity", request_body = NewSocialLogin,
    responses((status = 201, body = SocialLoginBegun)))]
async fn begin_social_login(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(new): Json<NewSocialLogin>,
) -> web::Result<Response> {
    auth.limit_network(ip).await?;
    let for_whom = For::SigningIn { invite_code: new.invite_code.as_deref() };
    Ok(begun(auth.begin_social_login(&new.provider, new.transport, for_whom).await?))
}

fn begun(begun: Begun) -> Response {
    let cookie = [(header::SET_COOKIE, sign_in_cookie(&begun.binding))];
    let body = SocialLoginBegun { authorization_url: begun.authorization_url };
    (StatusCode::CREATED, cookie, Json(body)).into_response()
}

/// The page that providers send browsers back to: a button that goes on. It changes nothing.
#[utoipa::path(get, path = "/v1/social-logins/callback", tag = "identity", params(Callback),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_social_login_callback(
    State(auth): State<Auth>,
    Query(callback): Query<Callback>,
) -> Response {
    let form = ComeBack {
        product: auth.product(),
        title: "Sign in",
        state: callback.state.as_deref().unwrap_or_default(),
        code: callback.code.as_deref(),
        iss: callback.iss.as_deref(),
    };
    page(StatusCode::OK, &form)
}

/// Finish what was begun, in the same browser: sign in, or link the account.
#[utoipa::path(post, path = "/v1/social-logins/callback", tag = "identity",
    request_body(content(
        (SocialLoginReturn = "application/json"),
        (SocialLoginReturn = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = crate::Tokens),
              (status = 204, description = "The account is linked")))]
async fn finish_social_login(
    State(auth): State<Auth>,
    device: Device,
    headers: HeaderMap,
    WantsPage(wants_page): WantsPage,
    JsonOrForm(back): JsonOrForm<SocialLoginReturn>,
) -> web::Result<Response> {
    let binding = cookie(&headers, SIGN_IN_COOKIE).unwrap_or_default();
    let back = Return {
        state: back.state.expose_secret(),
        code: back.code.map(|code| code.expose_secret().to_owned()),
        issuer: back.iss.as_deref(),
    };
    match auth.finish_social_login(back, binding, &device).await.map_err(Problem::from) {
        Ok(Outcome::SignedIn(signed_in, _)) if wants_page => {
            auth.signed_in_page(&headers, signed_in).await
        }
        Ok(Outcome::SignedIn(signed_in, transport)) => {
            Ok(auth.deliver(&headers, transport, signed_in?).await?)
        }
        Ok(Outcome::Linked) if wants_page => {
            Ok(auth.message("Linked", "You can sign in with that account from now on."))
        }
        Ok(Outcome::Linked) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(problem) if wants_page => auth.show_problem(problem),
        Err(problem) => Err(problem),
    }
}

/// List the accounts elsewhere that you sign in with.
#[utoipa::path(get, path = "/v1/me/identities", tag = "identity",
    responses((status = 200, body = Identities)))]
async fn list_identities(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<Json<Identities>> {
    Ok(Json(Identities { items: Identity::list(auth.db.pool(), caller.user).await? }))
}

/// Begin to link an account elsewhere: send the browser to the address in the answer.
#[utoipa::path(post, path = "/v1/me/identities", tag = "identity", request_body = NewIdentity,
    responses((status = 201, body = SocialLoginBegun)))]
async fn link_identity(
    State(auth): State<Auth>,
    caller: Caller,
    Json(new): Json<NewIdentity>,
) -> web::Result<Response> {
    // Keys may not do this.
    let session = session_of(&caller).ok_or(Error::InvalidCredentials)?;
    let for_whom = For::Linking(caller.user, session);
    Ok(begun(auth.begin_social_login(&new.provider, Transport::default(), for_whom).await?))
}

/// Unlink an account elsewhere, unless it is your only way in.
#[utoipa::path(delete, path = "/v1/me/identities/{id}", tag = "identity",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "It no longer signs you in")))]
async fn unlink_identity(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Path(id): Path<Id<Identity>>,
) -> web::Result<StatusCode> {
    auth.unlink(&caller, id, ip).await.map_err(|error: Error| Problem::from(error))?;
    Ok(StatusCode::NO_CONTENT)
}
