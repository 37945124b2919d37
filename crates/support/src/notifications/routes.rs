use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Role, Routes};

use super::notification::Notification;
use crate::Support;

pub(super) const READ: Permission = Permission::read("notifications:read").people_only();
const WRITE: Permission =
    Permission { name: "notifications:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Support> {
    Routes::new()
        .route(mine(READ), routes!(list_notifications))
        .route(mine(WRITE), routes!(mark_notification))
        .route(mine(WRITE), routes!(mark_notifications_read))
}

/// It concerns the person, whatever becomes of their org.
pub(super) fn mine(permission: Permission) -> Access {
    Access::to(permission).even_in_a_suspended_org()
}

/// Which notifications.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Notifications {
    /// Only those that were not read.
    #[serde(default)]
    unread: bool,
    /// Notifications per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Notifications, and how many of all were not read.
#[derive(Serialize, ToSchema)]
struct NotificationList {
    #[serde(flatten)]
    page: Page<Notification>,
    /// Of all.
    unread: i64,
}

/// What is noted of a notification.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NotificationPatch {
    /// Whether it was read.
    read: bool,
}

/// Up to which notification all were read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadMark {
    /// Its number.
    #[schema(minimum = 0)]
    number: i64,
}

/// List what you were told, the newest first.
#[utoipa::path(get, path = "/v1/me/notifications", tag = "support", params(Notifications),
    responses((status = 200, body = NotificationList)))]
async fn list_notifications(
    State(support): State<Support>,
    caller: Caller,
    Query(query): Query<Notifications>,
) -> web::Result<Json<NotificationList>> {
    let (db, user) = (support.db.pool(), caller.user);
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (before, rows) = (page.position()?, page.rows()?);
    let rows = Notification::list(db, user, query.unread, before, rows).await?;
    let unread = Notification::unread(db, user).await?;
    let page = Page::ending_at(&page, rows, |it| it.number);
    Ok(Json(NotificationList { page, unread }))
}

/// Note that you have read a notification, or that it is to count as unread.
#[utoipa::path(patch, path = "/v1/me/notifications/{number}", tag = "support",
    params(("number" = i64, Path)), request_body = NotificationPatch,
    responses((status = 200, body = Notification)))]
async fn mark_notification(
    State(support): State<Support>,
    caller: Caller,
    Path(number): Path<i64>,
    Json(patch): Json<NotificationPatch>,
) -> web::Result<Json<Notification>> {
    let read_at = patch.read.then(|| support.clock.now());
    let db = support.db.pool();
    Ok(Json(Notification::set_read(db, caller.user, number, read_at).await?))
}

/// Note that you have read all notifications up to one; what came after it stays unread.
#[utoipa::path(put, path = "/v1/me/notifications/read-mark", tag = "support",
    request_body = ReadMark, responses((status = 204)))]
async fn mark_notifications_read(
    State(support): State<Support>,
    caller: Caller,
    Json(mark): Json<ReadMark>,
) -> web::Result<StatusCode> {
    let now = support.clock.now();
    Notification::read_up_to(support.db.pool(), caller.user, mark.number, now).await?;
    Ok(StatusCode::NO_CONTENT)
}
