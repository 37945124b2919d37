use axum::extract::State;
use kernel::{ApiKey, EmailAddress, Id, User};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Problem, Role, Routes, Tier};

use crate::{Auth, accounts::user, orgs::org::CurrentOrg};

const READ: Permission = Permission::read("me:read");

pub(crate) fn routes() -> Routes<Auth> {
    Routes::new().route(Access::to(READ), routes!(show_me))
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
    let api_key_id = caller.api_key();
    Ok(Json(Me { user, org, role: caller.role, tier: caller.tier, api_key_id }))
}
