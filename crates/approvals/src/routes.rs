use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Routes};

use crate::{Approval, Approvals, ask::ApprovalInput};

const READ: Permission = Permission::read("approvals:read");
const WRITE: Permission = Permission::write("approvals:write");

pub(crate) fn routes() -> Routes<Approvals> {
    Routes::new()
        .route(Access::to(READ), routes!(list_approvals))
        .route(Access::to(READ), routes!(show_approval))
        .route(Access::to(WRITE).not_for_stand_ins(), routes!(request_approval))
        .route(Access::to(WRITE), routes!(revoke_approval))
}

/// List what outsiders were asked to approve, the newest first.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(PageQuery),
    responses((status = 200, body = Page<Approval>)))]
async fn list_approvals(
    State(approvals): State<Approvals>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Approval>>> {
    let mut tx = approvals.db.tenant(caller.org).await?;
    let rows = Approval::list(&mut *tx, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |approval| approval.id)))
}

/// Ask somebody outside for their approval. They get a mail with a link, and need no account.
#[utoipa::path(post, path = "/v1/approvals", tag = "approvals", request_body = ApprovalInput,
    responses((status = 201, body = Approval)))]
async fn request_approval(
    State(approvals): State<Approvals>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<ApprovalInput>,
) -> web::Result<(StatusCode, Json<Approval>)> {
    Ok((StatusCode::CREATED, Json(approvals.ask(&caller, input, &origin).await?)))
}

/// Show how an approval stands.
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Approval)))]
async fn show_approval(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<Id<Approval>>,
) -> web::Result<Json<Approval>> {
    let mut tx = approvals.db.tenant(caller.org).await?;
    Ok(Json(Approval::get(&mut *tx, id).await?))
}

/// Take a question back: its link stops working.
#[utoipa::path(delete, path = "/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn revoke_approval(
    State(approvals): State<Approvals>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Approval>>,
) -> web::Result<StatusCode> {
    approvals.revoke(&caller, id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
