use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, Etag, IfMatch, Json, Page, PageQuery, Path, Permission, Query, RateClass,
    Routes,
};

use crate::{Project, Projects};

const READ: Permission = Permission::read("projects:read");
pub(crate) const WRITE: Permission = Permission::write("projects:write");

pub(crate) fn routes() -> Routes<Projects> {
    let (read, write) = (Access::to(READ), Access::to(WRITE).limited_as(RateClass::ProjectWrites));
    Routes::new()
        .route(read, routes!(list_projects))
        .route(read, routes!(show_project))
        .route(write, routes!(create_project))
        .route(write, routes!(rename_project, delete_project))
}

/// What a client says of a project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectInput {
    /// 1 to 100 characters, unique in the org.
    #[schema(min_length = 1, max_length = 100, example = "Apollo")]
    name: String,
}

/// List projects, the newest first.
#[utoipa::path(get, path = "/v1/projects", tag = "projects", params(PageQuery),
    responses((status = 200, body = Page<Project>)))]
async fn list_projects(
    State(projects): State<Projects>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Project>>> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let rows = Project::list(&mut *tx, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |project| project.id)))
}

/// Create a project.
#[utoipa::path(post, path = "/v1/projects", tag = "projects", request_body = ProjectInput,
    responses((status = 201, body = Project)))]
async fn create_project(
    State(projects): State<Projects>,
    caller: Caller,
    Json(input): Json<ProjectInput>,
) -> web::Result<(StatusCode, Etag, Json<Project>)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let project = Project::create(&mut tx, caller.org, &input.name, projects.clock.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Etag(project.version), Json(project)))
}

/// Show a project.
#[utoipa::path(get, path = "/v1/projects/{id}", tag = "projects", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Project)))]
async fn show_project(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
) -> web::Result<(Etag, Json<Project>)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let project = Project::get(&mut *tx, id).await?;
    Ok((Etag(project.version), Json(project)))
}

/// Rename a project, if it is still the version named by `If-Match`.
#[utoipa::path(patch, path = "/v1/projects/{id}", tag = "projects", request_body = ProjectInput,
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Project)))]
async fn rename_project(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
    if_match: IfMatch,
    Json(input): Json<ProjectInput>,
) -> web::Result<(Etag, Json<Project>)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let project = Project::lock(&mut tx, id).await?;
    if_match.check(project.version)?;
    let project = project.rename(&mut tx, &input.name, projects.clock.now()).await?;
    tx.commit().await?;
    Ok((Etag(project.version), Json(project)))
}

/// Delete a project.
#[utoipa::path(delete, path = "/v1/projects/{id}", tag = "projects", params(("id" = String, Path, format = Uuid)),
    responses((status = 204)))]
async fn delete_project(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
) -> web::Result<StatusCode> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Project::delete(&mut tx, id, projects.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
