use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::{EmailAddress, Id};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Role, Routes};

use super::invitation::Invitation;
use crate::Auth;

const READ: Permission = Permission::manage("invitations:read").people_only();
const WRITE: Permission = Permission::manage("invitations:write").people_only();

pub(super) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::to(READ), routes!(list_invitations))
        .route(Access::to(WRITE), routes!(create_invitation))
        .route(Access::to(WRITE), routes!(send_invitation_again))
        .route(Access::to(WRITE), routes!(revoke_invitation))
}

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationInput {
    email: EmailAddress,
    /// What they will be: `admin`, `member`, `billing` or `viewer`.
    role: Role,
}

/// List the invitations that were not accepted yet.
#[utoipa::path(get, path = "/v1/invitations", tag = "organizations", params(PageQuery),
    responses((status = 200, body = Page<Invitation>)))]
async fn list_invitations(
    State(auth): State<Auth>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Invitation>>> {
    let mut tx = auth.db.tenant(caller.org).await?;
    let rows = Invitation::list(&mut *tx, caller.org, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |invitation| invitation.id)))
}

/// Invite somebody by mail. The link in it works once, for a week, and only for that address.
#[utoipa::path(post, path = "/v1/invitations", tag = "organizations", request_body = InvitationInput,
    responses((status = 201, body = Invitation)))]
async fn create_invitation(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<InvitationInput>,
) -> web::Result<(StatusCode, Json<Invitation>)> {
    let invitation = auth.invite(&caller, input.email, input.role, &origin).await?;
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Mail an invitation again, with a new link; the one before stops working.
#[utoipa::path(post, path = "/v1/invitations/{id}/mails", tag = "organizations",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Invitation)))]
async fn send_invitation_again(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Invitation>>,
) -> web::Result<Json<Invitation>> {
    Ok(Json(auth.invite_again(&caller, id, &origin).await?))
}

/// Revoke an invitation: its link stops working.
#[utoipa::path(delete, path = "/v1/invitations/{id}", tag = "organizations",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "Nobody can accept it any more")))]
async fn revoke_invitation(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Invitation>>,
) -> web::Result<StatusCode> {
    auth.revoke_invitation(caller.org, id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
