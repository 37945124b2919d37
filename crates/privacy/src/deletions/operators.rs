use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::{Id, Org, User};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Problem, Query, Routes};

use super::{Certificate, Deletion};
use crate::{Error, Privacy, subject::Subject};

pub(super) fn routes() -> Routes<Privacy> {
    Routes::new()
        .route(Access::operators(), routes!(list_deletions))
        .route(Access::operators().after_recent_sign_in(), routes!(request_deletion))
        .route(Access::operators(), routes!(cancel_deletion))
        .route(Access::operators(), routes!(show_certificate))
}

/// Who asked in another way, by a letter for example. One of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeletionRequest {
    /// A person.
    #[schema(value_type = Option<String>, format = Uuid)]
    user_id: Option<Id<User>>,
    /// An org.
    #[schema(value_type = Option<String>, format = Uuid)]
    org_id: Option<Id<Org>>,
}

/// Have somebody's account or an org deleted who asked in another way. They are told by mail, and can call it off.
#[utoipa::path(post, path = "/admin/v1/deletions", tag = "operators", request_body = DeletionRequest,
    responses((status = 202, body = Deletion)))]
async fn request_deletion(
    State(privacy): State<Privacy>,
    origin: Origin,
    Json(asked): Json<DeletionRequest>,
) -> web::Result<(StatusCode, Json<Deletion>)> {
    let subject = match (asked.user_id, asked.org_id) {
        (Some(user), None) => Subject::Person(user),
        (None, Some(org)) => Subject::Org(org),
        _ => return Err(Problem::invalid_field("/user_id", "is given, or org_id is: one of them")),
    };
    if !subject.exists(privacy.db.pool()).await? {
        return Err(Error::NoSubject.into());
    }
    let deletion = privacy.request_deletion(None, subject, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(deletion)))
}

/// Call a deletion off, unless it has begun.
#[utoipa::path(delete, path = "/admin/v1/deletions/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn cancel_deletion(
    State(privacy): State<Privacy>,
    Path(id): Path<Id<Deletion>>,
    origin: Origin,
) -> web::Result<StatusCode> {
    let found = Deletion::get(privacy.db.pool(), id).await?;
    let subject = found.as_ref().and_then(Deletion::subject).ok_or(Error::NoDeletion)?;
    privacy.cancel_deletion(subject, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
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
