use axum::{extract::State, http::StatusCode};
use kernel::{ApiKey, EmailAddress, Id, User};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, ClientIp, Json, Operator, Permission, Problem, RateClass, Role, Routes, Tier,
};

use super::{password_change::PasswordChange, user};
use crate::{Auth, Name, orgs::org::CurrentOrg, sessions::session_of};

const READ: Permission = Permission::read("me:read");

const WRITE: Permission = Permission { name: "me:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    let write = Access::to(WRITE).even_in_a_suspended_org();
    let sensitive = write.limited_as(RateClass::Auth).after_recent_sign_in();
    Routes::new()
        .route(Access::to(READ), routes!(show_me))
        .route(write, routes!(change_me))
        .route(sensitive, routes!(change_password))
        .route(sensitive, routes!(request_email_change))
}

/// What to be called from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MyChanges {
    #[schema(min_length = 1, max_length = 100, example = "Ada Lovelace")]
    name: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPasswordOfMine {
    /// Absent only for accounts that have none yet.
    #[schema(value_type = Option<String>, format = Password)]
    current_password: Option<SecretString>,
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 256)]
    password: SecretString,
    /// Whether the API keys that you made stop working too.
    #[serde(default)]
    revoke_api_keys: bool,
}

/// Where to be reached from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAddress {
    email: EmailAddress,
}

/// Who calls, and what they may do.
#[derive(Serialize, ToSchema)]
struct Me {
    user: MyAccount,
    org: CurrentOrg,
    role: Role,
    tier: Tier,
    /// The API key used, if it was one.
    #[schema(value_type = Option<String>, format = Uuid)]
    api_key_id: Option<Id<ApiKey>>,
    /// The operator who stands in for the person, if it is one: show it.
    #[schema(value_type = Option<String>, format = Uuid)]
    impersonator_id: Option<Id<Operator>>,
}

/// The caller's account, or that of the person who made the API key.
#[derive(Serialize, ToSchema)]
struct MyAccount {
    #[schema(value_type = String, format = Uuid)]
    id: Id<User>,
    email: EmailAddress,
    name: String,
    email_verified: bool,
}

/// Who am I?
#[utoipa::path(get, path = "/v1/me", tag = "identity", responses((status = 200, body = Me)))]
async fn show_me(State(auth): State<Auth>, caller: Caller) -> web::Result<Json<Me>> {
    let user = user::User::get(auth.db.pool(), caller.user).await?;
    let user = user.ok_or_else(Problem::unauthenticated)?;
    let mut tx = auth.db.tenant(caller.org).await?;
    let org = CurrentOrg::get(&mut *tx, caller.org).await?;
    let user = MyAccount {
        id: user.id,
        email: user.email,
        name: user.name,
        email_verified: user.email_verified_at.is_some(),
    };
    let (api_key_id, impersonator_id) = (caller.api_key(), caller.impersonator());
    let (role, tier) = (caller.role, caller.tier);
    Ok(Json(Me { user, org, role, tier, api_key_id, impersonator_id }))
}

/// Change your name.
#[utoipa::path(patch, path = "/v1/me", tag = "identity", request_body = MyChanges,
    responses((status = 200, body = Me)))]
async fn change_me(
    State(auth): State<Auth>,
    caller: Caller,
    Json(changes): Json<MyChanges>,
) -> web::Result<Json<Me>> {
    let name = Name::new(&changes.name)?;
    let mut tx = auth.db.begin().await?;
    user::User::set_name(&mut tx, caller.user, &name).await?;
    tx.commit().await?;
    show_me(State(auth), caller).await
}

/// Change your password. Every other session ends, and your API keys if you say so.
#[utoipa::path(post, path = "/v1/me/password", tag = "identity", request_body = NewPasswordOfMine,
    responses((status = 204, description = "The password is changed")))]
async fn change_password(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Json(new): Json<NewPasswordOfMine>,
) -> web::Result<StatusCode> {
    let change = PasswordChange {
        current: new.current_password,
        new: new.password,
        revoke_api_keys: new.revoke_api_keys,
    };
    auth.change_password(&caller, session_of(&caller), change, ip).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for another e-mail address. It changes once the new one is confirmed; the old one is told, and
/// can undo it.
///
/// The answer is the same whether or not the new address has an account.
#[utoipa::path(post, path = "/v1/me/email-changes", tag = "identity", request_body = NewAddress,
    responses((status = 202, description = "Mails are on their way to both addresses")))]
async fn request_email_change(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Json(new): Json<NewAddress>,
) -> web::Result<StatusCode> {
    auth.request_email_change(&caller, &new.email, ip).await?;
    Ok(StatusCode::ACCEPTED)
}
