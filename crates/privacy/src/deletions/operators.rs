use axum::extract::State;
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Query, Routes};

use super::{Certificate, Deletion};
use crate::{Error, Privacy};

pub(super) fn routes() -> Routes<Privacy> {
    Routes::new()
        .route(Access::operators(), routes!(list_deletions))
        .route(Access::operators(), routes!(show_certificate))
}

/// List who was to be erased, the newest first.
#[utoipa::path(get, path = "/admin/v1/deletions", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<Deletion>)))]
async fn list_deletions(
    State(privacy): State<Privacy>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Deletion>>> {
    let rows = Deletion::list(privacy.db.pool(), query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |deletion| deletion.id)))
}

/// Show the certificate of an erasure that is done: what was erased, what was kept and why.
#[utoipa::path(get, path = "/admin/v1/deletions/{id}/certificate", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Certificate)))]
async fn show_certificate(
    State(privacy): State<Privacy>,
    Path(id): Path<Id<Deletion>>,
) -> web::Result<Json<Certificate>> {
    let found = privacy.certificate(privacy.db.pool(), id).await?;
    Ok(Json(found.ok_or(Error::NoDeletion)?))
}
