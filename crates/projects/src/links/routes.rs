use audit::{Entry, Origin};
use auth::secret;
use axum::{
    extract::State,
    http::{HeaderName, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Problem, RateClass, Routes};

use super::ProjectLink;
use crate::{
    Project, Projects,
    routes::{READ, WRITE},
};

pub(crate) fn routes() -> Routes<Projects> {
    let write = Access::to(WRITE).limited_as(RateClass::ProjectWrites);
    Routes::new()
        .route(Access::to(READ), routes!(list_project_links))
        .route(write.not_for_stand_ins(), routes!(link_project))
        .route(write, routes!(revoke_project_link))
        .route(Access::public(), routes!(read_linked_project))
}

/// A new link, and where it leads: this is shown once.
#[derive(Debug, Serialize, ToSchema)]
struct NewProjectLink {
    #[serde(flatten)]
    link: ProjectLink,
    /// Where it leads.
    #[schema(value_type = String, format = "uri")]
    url: Url,
}

/// For how long a link is to work.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectLinkInput {
    /// In days.
    #[serde(default = "ProjectLinkInput::a_month")]
    #[schema(minimum = 1, maximum = 365, default = 30)]
    expires_in_days: i64,
}

/// A project as whoever has a link to it sees it: nothing says whose it is.
#[derive(Debug, Serialize, ToSchema)]
struct LinkedProject {
    /// What it is called.
    name: String,
    /// What it says.
    text: String,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl ProjectLinkInput {
    fn a_month() -> i64 {
        30
    }
}

/// List the links to a project that work.
#[utoipa::path(get, path = "/v1/projects/{id}/links", tag = "projects",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Vec<ProjectLink>)))]
async fn list_project_links(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
) -> web::Result<Json<Vec<ProjectLink>>> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Project::get(&mut *tx, id).await?;
    Ok(Json(ProjectLink::list(&mut *tx, id, projects.clock.now()).await?))
}

/// Make a link with which anybody reads a project for some time.
#[utoipa::path(post, path = "/v1/projects/{id}/links", tag = "projects", request_body = ProjectLinkInput,
    params(("id" = String, Path, format = Uuid)), responses((status = 201, body = NewProjectLink)))]
async fn link_project(
    State(projects): State<Projects>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Project>>,
    Json(input): Json<ProjectLinkInput>,
) -> web::Result<(StatusCode, Json<NewProjectLink>)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Project::lock(&mut tx, id).await?;
    if !(1..=365).contains(&input.expires_in_days) {
        return Err(Problem::invalid_field("/expires_in_days", "must be 1 to 365"));
    }
    let (now, token) = (projects.clock.now(), secret::random());
    let expires_at = now + TimeDelta::days(input.expires_in_days);
    let link = ProjectLink { id: Id::new(), views: 0, created_at: now, expires_at };
    link.insert(&mut tx, &caller, id, &token).await?;
    let entry = Entry::new(&origin, Some(caller.org), "project_link.created", link.id);
    entry.after(json!({ "project": id })).record(&mut tx, now).await?;
    tx.commit().await?;
    let mut url = projects.app_url.clone();
    url.set_path(&format!("/v1/project-links/{token}"));
    Ok((StatusCode::CREATED, Json(NewProjectLink { link, url })))
}

/// Revoke a link: it stops working at once.
#[utoipa::path(delete, path = "/v1/projects/{id}/links/{link}", tag = "projects",
    params(("id" = String, Path, format = Uuid), ("link" = String, Path, format = Uuid)),
    responses((status = 204)))]
async fn revoke_project_link(
    State(projects): State<Projects>,
    caller: Caller,
    origin: Origin,
    Path((id, link)): Path<(Id<Project>, Id<ProjectLink>)>,
) -> web::Result<StatusCode> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Project::get(&mut *tx, id).await?;
    ProjectLink::delete(&mut *tx, id, link).await?;
    let entry = Entry::new(&origin, Some(caller.org), "project_link.revoked", link);
    entry.record(&mut tx, projects.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read the project that a link leads to.
#[utoipa::path(get, path = "/v1/project-links/{token}", tag = "projects",
    params(("token" = String, Path)), responses((status = 200, body = LinkedProject)))]
async fn read_linked_project(
    State(projects): State<Projects>,
    Path(token): Path<String>,
) -> web::Result<([(HeaderName, &'static str); 1], Json<LinkedProject>)> {
    let now = projects.clock.now();
    let (org, id) = ProjectLink::follow(projects.db.pool(), &token, now).await?;
    let project = Project::get(&mut *projects.db.tenant(org).await?, id).await?;
    let Project { name, text, updated_at, .. } = project;
    let unlisted = (HeaderName::from_static("x-robots-tag"), "noindex, nofollow");
    Ok(([unlisted], Json(LinkedProject { name, text, updated_at })))
}
