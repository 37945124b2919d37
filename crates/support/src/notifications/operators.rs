use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Query, Routes};

use super::announcement::{Announcement, AnnouncementInput};
use crate::Support;

pub(crate) fn routes() -> Routes<Support> {
    let operators = Access::operators();
    Routes::new()
        .route(Access::public(), routes!(list_announcements))
        .route(operators, routes!(list_all_announcements))
        .route(operators, routes!(publish_announcement))
        .route(operators, routes!(withdraw_announcement))
}

/// List what holds for everybody now, such as for a banner, the newest first. Nobody needs to be signed in.
#[utoipa::path(get, path = "/v1/announcements", tag = "support", params(PageQuery),
    responses((status = 200, body = Page<Announcement>)))]
async fn list_announcements(
    State(support): State<Support>,
    Query(page): Query<PageQuery>,
) -> web::Result<Json<Page<Announcement>>> {
    let (now, before, rows) = (Some(support.clock.now()), page.after()?, page.rows()?);
    let rows = Announcement::list(support.db.pool(), now, before, rows).await?;
    Ok(Json(Page::new(&page, rows, |it| it.id)))
}

/// List all announcements, those that are over among them, the newest first.
#[utoipa::path(get, path = "/admin/v1/announcements", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<Announcement>)))]
async fn list_all_announcements(
    State(support): State<Support>,
    Query(page): Query<PageQuery>,
) -> web::Result<Json<Page<Announcement>>> {
    let (before, rows) = (page.after()?, page.rows()?);
    let rows = Announcement::list(support.db.pool(), None, before, rows).await?;
    Ok(Json(Page::new(&page, rows, |it| it.id)))
}

/// Announce something to everybody: in their feeds, and by mail to those who want mails of this kind if `mailed` says so.
#[utoipa::path(post, path = "/admin/v1/announcements", tag = "operators",
    request_body = AnnouncementInput, responses((status = 201, body = Announcement)))]
async fn publish_announcement(
    State(support): State<Support>,
    origin: Origin,
    Json(input): Json<AnnouncementInput>,
) -> web::Result<(StatusCode, Json<Announcement>)> {
    Ok((StatusCode::CREATED, Json(support.publish(input, &origin).await?)))
}

/// Withdraw an announcement: it is over, and gone from every feed. Mails stay where they are.
#[utoipa::path(delete, path = "/admin/v1/announcements/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn withdraw_announcement(
    State(support): State<Support>,
    origin: Origin,
    Path(id): Path<Id<Announcement>>,
) -> web::Result<StatusCode> {
    support.withdraw(id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
