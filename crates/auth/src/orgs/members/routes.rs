use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::{Id, User};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Role, Routes};

use super::Member;
use crate::Auth;

const READ: Permission = Permission::read("members:read");
const WRITE: Permission = Permission::manage("members:write").people_only();
const LEAVE: Permission = Permission { name: "members:leave", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::to(READ), routes!(list_members))
        .route(Access::to(WRITE), routes!(change_member, remove_member))
        .route(Access::to(LEAVE), routes!(leave_org))
}

/// What to make of somebody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberChanges {
    role: Role,
}

/// List the people of the org.
#[utoipa::path(get, path = "/v1/members", tag = "organizations", params(PageQuery),
    responses((status = 200, body = Page<Member>)))]
async fn list_members(
    State(auth): State<Auth>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Member>>> {
    let rows = Member::list(auth.db.pool(), caller.org, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |member| member.user_id)))
}

/// Give somebody in the org another role. Only owners change owners and make them.
#[utoipa::path(patch, path = "/v1/members/{id}", tag = "organizations", request_body = MemberChanges,
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Member)))]
async fn change_member(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<User>>,
    Json(changes): Json<MemberChanges>,
) -> web::Result<Json<Member>> {
    Ok(Json(auth.change_member(&caller, id, changes.role, &origin).await?))
}

/// Remove somebody from the org. API keys that they made in it stop working for good.
#[utoipa::path(delete, path = "/v1/members/{id}", tag = "organizations",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "They are no longer in the org")))]
async fn remove_member(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<User>>,
) -> web::Result<StatusCode> {
    auth.remove_member(&caller, id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave the org that you act in. The last owner cannot.
#[utoipa::path(delete, path = "/v1/members/me", tag = "organizations",
    responses((status = 204, description = "You are no longer in the org")))]
async fn leave_org(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
) -> web::Result<StatusCode> {
    auth.leave_org(&caller, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
