use assets::Asset;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Page, Path, Permission, Query, RateClass, Routes};

use crate::{
    Project, ProjectCreated, Projects,
    bulk::ProjectsChange,
    list::{ListedProject, ProjectFolder, ProjectsQuery},
};

pub(crate) const READ: Permission = Permission::read("projects:read");
pub(crate) const WRITE: Permission = Permission::write("projects:write");

pub(crate) fn routes() -> Routes<Projects> {
    let (read, write) = (Access::to(READ), Access::to(WRITE).limited_as(RateClass::ProjectWrites));
    Routes::new()
        .route(read, routes!(list_projects))
        .route(read, routes!(show_project))
        .route(read, routes!(list_project_folders))
        .route(write, routes!(create_project, change_projects))
        .route(write, routes!(change_project, delete_project))
        .route(write, routes!(copy_project))
}

/// What a new project is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectInput {
    /// 1 to 100 characters, unique in the org.
    #[schema(min_length = 1, max_length = 100, example = "Apollo")]
    name: String,
    /// What it says.
    #[serde(default)]
    #[schema(max_length = 50_000)]
    text: String,
    /// Where it is put.
    #[schema(min_length = 1, max_length = 100, example = "Moon")]
    folder: Option<String>,
    /// An image of the org's files.
    #[schema(value_type = Option<String>, format = Uuid)]
    cover_id: Option<Id<Asset>>,
}

/// What changes of a project; what is left out stays.
#[expect(clippy::option_option, reason = "what is left out stays, null takes away")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectChange {
    /// 1 to 100 characters, unique in the org.
    #[schema(min_length = 1, max_length = 100, example = "Apollo")]
    name: Option<String>,
    /// What it says.
    #[schema(max_length = 50_000)]
    text: Option<String>,
    /// Where it is put; `null`: nowhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    folder: Option<Option<String>>,
    /// An image of the org's files; `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Uuid)]
    cover_id: Option<Option<Id<Asset>>>,
    /// Whether it is out of the way.
    archived: Option<bool>,
}

/// Tells `null` from what is left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// List projects by page: searched, filtered and sorted, with what was spent on each.
#[utoipa::path(get, path = "/v1/projects", tag = "projects", params(ProjectsQuery),
    responses((status = 200, body = Page<ListedProject>)))]
async fn list_projects(
    State(projects): State<Projects>,
    caller: Caller,
    Query(query): Query<ProjectsQuery>,
) -> web::Result<Json<Page<ListedProject>>> {
    Ok(Json(ListedProject::page(&projects.db, caller.org, &query).await?))
}

/// List the folders that projects in use are in, by name.
#[utoipa::path(get, path = "/v1/project-folders", tag = "projects",
    responses((status = 200, body = Vec<ProjectFolder>)))]
async fn list_project_folders(
    State(projects): State<Projects>,
    caller: Caller,
) -> web::Result<Json<Vec<ProjectFolder>>> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Ok(Json(ProjectFolder::list(&mut *tx).await?))
}

/// Create a project.
#[utoipa::path(post, path = "/v1/projects", tag = "projects", request_body = ProjectInput,
    responses((status = 201, body = Project)))]
async fn create_project(
    State(projects): State<Projects>,
    caller: Caller,
    Json(input): Json<ProjectInput>,
) -> web::Result<(StatusCode, Etag, Json<Project>)> {
    let now = projects.clock.now();
    let mut project = Project::new(&input.name, now)?;
    project.write(input.text)?;
    project.put_into(input.folder.as_deref())?;
    let mut tx = projects.db.tenant(caller.org).await?;
    project.cover(&mut tx, input.cover_id).await?;
    project.insert(&mut tx, caller.org).await?;
    webhooks::emit(&mut tx, caller.org, &ProjectCreated::from(&project), now).await?;
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

/// Change a project, if it is still the version named by `If-Match`.
#[utoipa::path(patch, path = "/v1/projects/{id}", tag = "projects", request_body = ProjectChange,
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Project)))]
async fn change_project(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
    if_match: IfMatch,
    Json(change): Json<ProjectChange>,
) -> web::Result<(Etag, Json<Project>)> {
    let now = projects.clock.now();
    let mut tx = projects.db.tenant(caller.org).await?;
    let mut project = Project::lock(&mut tx, id).await?;
    if_match.check(project.version)?;
    if let Some(name) = change.name {
        project.rename(&name)?;
    }
    if let Some(text) = change.text {
        project.write(text)?;
    }
    if let Some(folder) = change.folder {
        project.put_into(folder.as_deref())?;
    }
    if let Some(image) = change.cover_id {
        project.cover(&mut tx, image).await?;
    }
    if let Some(archived) = change.archived {
        project.archived_at = archived.then(|| project.archived_at.unwrap_or(now));
    }
    project.save(&mut tx, now).await?;
    tx.commit().await?;
    Ok((Etag(project.version), Json(project)))
}

/// Archive, move, delete or restore up to 100 projects: all of them, or none.
#[utoipa::path(patch, path = "/v1/projects", tag = "projects", request_body = ProjectsChange,
    responses((status = 204)))]
async fn change_projects(
    State(projects): State<Projects>,
    caller: Caller,
    Json(change): Json<ProjectsChange>,
) -> web::Result<StatusCode> {
    let mut tx = projects.db.tenant(caller.org).await?;
    change.apply(&mut tx, projects.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a copy of a project, under a name of its own.
#[utoipa::path(post, path = "/v1/projects/{id}/copies", tag = "projects",
    params(("id" = String, Path, format = Uuid)), responses((status = 201, body = Project)))]
async fn copy_project(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
) -> web::Result<(StatusCode, Etag, Json<Project>)> {
    let now = projects.clock.now();
    let mut tx = projects.db.tenant(caller.org).await?;
    let project = Project::get(&mut *tx, id).await?.copy(&mut tx, caller.org, now).await?;
    webhooks::emit(&mut tx, caller.org, &ProjectCreated::from(&project), now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Etag(project.version), Json(project)))
}

/// Delete a project. It can be restored for some time.
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
