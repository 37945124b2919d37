use audit::Origin;
use axum::{extract::State, http::StatusCode};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Role, Routes};

use super::Deletion;
use crate::{Error, Privacy, subject::Subject};

const READ: Permission = Permission::read("deletion:read").people_only();
const ASK: Permission = Permission { name: "deletion:write", roles: &Role::ALL, keys: false };
const ORG: Permission =
    Permission { name: "org_deletion:write", roles: &[Role::Owner], keys: false };

pub(super) fn routes() -> Routes<Privacy> {
    let mine = |permission| Access::to(permission).even_in_a_suspended_org();
    Routes::new()
        .route(mine(READ), routes!(show_my_deletion))
        .route(mine(ASK).after_recent_sign_in(), routes!(delete_me))
        .route(mine(ASK), routes!(keep_me))
        .route(Access::to(READ), routes!(show_org_deletion))
        .route(Access::to(ORG).after_recent_sign_in(), routes!(delete_org))
        .route(Access::to(ORG), routes!(keep_org))
}

/// Show when your account will be deleted.
#[utoipa::path(get, path = "/v1/me/deletion", tag = "privacy", responses((status = 200, body = Deletion)))]
async fn show_my_deletion(
    State(privacy): State<Privacy>,
    caller: Caller,
) -> web::Result<Json<Deletion>> {
    let found = Deletion::of(privacy.db.pool(), Subject::Person(caller.user)).await?;
    Ok(Json(found.ok_or(Error::NoDeletion)?))
}

/// Have your account deleted, with everything in it, and the orgs that only you belong to. Other sessions and
/// your API keys end at once; until `due_at` you can sign in and call it off.
#[utoipa::path(post, path = "/v1/me/deletion", tag = "privacy", responses((status = 202, body = Deletion)))]
async fn delete_me(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Deletion>)> {
    let subject = Subject::Person(caller.user);
    let deletion = privacy.request_deletion(Some(&caller), subject, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(deletion)))
}

/// Keep your account after all.
#[utoipa::path(delete, path = "/v1/me/deletion", tag = "privacy",
    responses((status = 204, description = "The account stays")))]
async fn keep_me(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
) -> web::Result<StatusCode> {
    privacy.cancel_deletion(Subject::Person(caller.user), &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show when the org will be deleted.
#[utoipa::path(get, path = "/v1/org/deletion", tag = "privacy", responses((status = 200, body = Deletion)))]
async fn show_org_deletion(
    State(privacy): State<Privacy>,
    caller: Caller,
) -> web::Result<Json<Deletion>> {
    let found = Deletion::of(privacy.db.pool(), Subject::Org(caller.org)).await?;
    Ok(Json(found.ok_or(Error::NoDeletion)?))
}

/// Have the org deleted, with everything in it, whoever belongs to it. Until `due_at` any owner can call it off.
#[utoipa::path(post, path = "/v1/org/deletion", tag = "privacy", responses((status = 202, body = Deletion)))]
async fn delete_org(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Deletion>)> {
    let subject = Subject::Org(caller.org);
    let deletion = privacy.request_deletion(Some(&caller), subject, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(deletion)))
}

/// Keep the org after all.
#[utoipa::path(delete, path = "/v1/org/deletion", tag = "privacy",
    responses((status = 204, description = "The org stays")))]
async fn keep_org(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
) -> web::Result<StatusCode> {
    privacy.cancel_deletion(Subject::Org(caller.org), &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
