use audit::{Entry, Origin};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Role, Routes};

use super::{Export, ExportStatus};
use crate::{Error, Privacy, Result, subject::Subject};

const READ: Permission = Permission::read("exports:read").people_only();
const ASK: Permission = Permission { name: "exports:write", roles: &Role::ALL, keys: false };
const ASK_FOR_ORG: Permission =
    Permission { name: "org_exports:write", roles: &[Role::Owner], keys: false };

/// Whoever has everything about somebody can pretend to be them: a session alone is not enough.
pub(crate) fn routes() -> Routes<Privacy> {
    Routes::new()
        .route(Access::to(READ), routes!(list_exports))
        .route(Access::to(READ), routes!(show_export))
        .route(Access::to(READ).after_recent_sign_in(), routes!(download_export))
        .route(Access::to(ASK).after_recent_sign_in(), routes!(export_me))
        .route(Access::to(ASK_FOR_ORG).after_recent_sign_in(), routes!(export_org))
}

/// Have a copy made of everything that is kept about you. A mail says when it is ready. One a day.
#[utoipa::path(post, path = "/v1/me/exports", tag = "privacy",
    responses((status = 202, body = Export)))]
async fn export_me(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Export>)> {
    let subject = Subject::Person(caller.user);
    let export = privacy.request_export(caller.user, subject, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(export)))
}

/// Have a copy made of everything that is kept of your org: for owners, and without what only concerns
/// its members. A mail says when it is ready. One a day.
#[utoipa::path(post, path = "/v1/org/exports", tag = "privacy",
    responses((status = 202, body = Export)))]
async fn export_org(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Export>)> {
    let subject = Subject::Org(caller.org);
    let export = privacy.request_export(caller.user, subject, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(export)))
}

/// List the copies that you asked for, the newest first.
#[utoipa::path(get, path = "/v1/exports", tag = "privacy", params(PageQuery),
    responses((status = 200, body = Page<Export>)))]
async fn list_exports(
    State(privacy): State<Privacy>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Export>>> {
    let (before, rows) = (query.after()?, query.rows()?);
    let now = privacy.clock.now();
    let exports = Export::list(privacy.db.pool(), caller.user, before, rows).await?;
    let exports = exports.into_iter().map(|export| export.seen_at(now)).collect();
    Ok(Json(Page::new(&query, exports, |export| export.id)))
}

/// Show how far a copy is.
#[utoipa::path(get, path = "/v1/exports/{id}", tag = "privacy",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Export)))]
async fn show_export(
    State(privacy): State<Privacy>,
    caller: Caller,
    Path(id): Path<Id<Export>>,
) -> web::Result<Json<Export>> {
    Ok(Json(privacy.export_of(&caller, id).await?.seen_at(privacy.clock.now())))
}

/// Download a copy: a zip archive with a file of JSON for each table, and the files.
#[utoipa::path(get, path = "/v1/exports/{id}/archive", tag = "privacy",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
async fn download_export(
    State(privacy): State<Privacy>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Export>>,
) -> web::Result<([(HeaderName, HeaderValue); 3], Body)> {
    let (export, now) = (privacy.export_of(&caller, id).await?, privacy.clock.now());
    if !export.is_permitted(privacy.db.pool()).await? {
        return Err(Error::NoSuchExport.into());
    }
    let export = export.seen_at(now);
    if export.status != ExportStatus::Ready {
        return Err(Error::NotReady(export.status.in_words()).into());
    }
    let content = privacy.storage.read(&export.key(), None).await.map_err(Error::from)?;
    let mut tx = privacy.db.begin().await?;
    let entry = Entry::new(&origin, export.org_id, "export.downloaded", export.id);
    entry.record(&mut tx, now).await?;
    tx.commit().await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"export.zip\""),
        ),
        (header::CONTENT_LENGTH, content.size.into()),
    ];
    Ok((headers, Body::from_stream(content.stream)))
}

impl Privacy {
    /// A copy that the caller asked for; of nobody else's is said that it is there.
    async fn export_of(&self, caller: &Caller, id: Id<Export>) -> Result<Export> {
        let export = Export::find(self.db.pool(), id).await?;
        export.filter(|export| export.user_id == caller.user).ok_or(Error::NoSuchExport)
    }
}
