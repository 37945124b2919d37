//! What a project said before.

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use similar::TextDiff;
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, Etag, IfMatch, Json, Page, PageQuery, Path, Problem, Query, RateClass, Routes,
};

use crate::{
    Error, Project, Projects, Result,
    routes::{READ, WRITE},
};

/// How long two texts may take to be compared exactly; from then on roughly.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) fn routes() -> Routes<Projects> {
    let write = Access::to(WRITE).limited_as(RateClass::ProjectWrites);
    Routes::new()
        .route(Access::to(READ), routes!(list_project_versions))
        .route(Access::to(READ), routes!(show_project_version))
        .route(Access::to(READ), routes!(compare_project_version))
        .route(write, routes!(restore_project_version))
}

/// What a project said.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectVersion {
    /// Which of its versions said so last.
    version: i64,
    /// What it was called.
    name: String,
    /// What it said. A list has its beginning only.
    text: String,
    /// Since when.
    said_at: DateTime<Utc>,
}

/// What has changed since.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectDifference {
    /// From which version.
    from: i64,
    /// To which: that of today.
    to: i64,
    /// The changes of the text, line by line, as `diff -u` writes them; empty if there are none.
    diff: String,
}

impl ProjectVersion {
    /// Those of a project, the newest first, from the one before `before`.
    async fn list(
        db: impl PgExecutor<'_>,
        project: Id<Project>,
        before: Option<i64>,
        rows: i64,
    ) -> Result<Vec<Self>> {
        let versions = sqlx::query_as!(
            Self,
            r#"select version, name, left(text, 200) as "text!", said_at
               from project_versions
               where project_id = $1 and ($2::bigint is null or version < $2)
               order by version desc
               limit $3"#,
            project as _,
            before,
            rows,
        );
        Ok(versions.fetch_all(db).await?)
    }

    async fn get(db: impl PgExecutor<'_>, project: Id<Project>, version: i64) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            "select version, name, text, said_at from project_versions
             where project_id = $1 and version = $2",
            project as _,
            version,
        );
        found.fetch_optional(db).await?.ok_or(Error::NoSuchVersion)
    }
}

/// List what a project said before, the newest first. The last hundred versions are kept.
#[utoipa::path(get, path = "/v1/projects/{id}/versions", tag = "projects",
    params(("id" = String, Path, format = Uuid), PageQuery),
    responses((status = 200, body = Page<ProjectVersion>)))]
async fn list_project_versions(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<ProjectVersion>>> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Project::get(&mut *tx, id).await?;
    let versions = ProjectVersion::list(&mut *tx, id, query.position()?, query.rows()?).await?;
    Ok(Json(Page::ending_at(&query, versions, |it| it.version)))
}

/// Show what a project said in a version.
#[utoipa::path(get, path = "/v1/projects/{id}/versions/{version}", tag = "projects",
    params(("id" = String, Path, format = Uuid), ("version" = i64, Path)),
    responses((status = 200, body = ProjectVersion)))]
async fn show_project_version(
    State(projects): State<Projects>,
    caller: Caller,
    Path((id, version)): Path<(Id<Project>, i64)>,
) -> web::Result<Json<ProjectVersion>> {
    let mut tx = projects.db.tenant(caller.org).await?;
    Project::get(&mut *tx, id).await?;
    Ok(Json(ProjectVersion::get(&mut *tx, id, version).await?))
}

/// Show how the text of a project differs from that of a version.
#[utoipa::path(get, path = "/v1/projects/{id}/versions/{version}/difference", tag = "projects",
    params(("id" = String, Path, format = Uuid), ("version" = i64, Path)),
    responses((status = 200, body = ProjectDifference)))]
async fn compare_project_version(
    State(projects): State<Projects>,
    caller: Caller,
    Path((id, version)): Path<(Id<Project>, i64)>,
) -> web::Result<Json<ProjectDifference>> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let project = Project::get(&mut *tx, id).await?;
    let before = ProjectVersion::get(&mut *tx, id, version).await?;
    drop(tx);
    let to = project.version;
    let compare = move || {
        TextDiff::configure()
            .timeout(PATIENCE)
            .diff_lines(before.text.as_str(), project.text.as_str())
            .unified_diff()
            .to_string()
    };
    let diff = tokio::task::spawn_blocking(compare).await.map_err(Problem::internal)?;
    Ok(Json(ProjectDifference { from: version, to, diff }))
}

/// Have a project say again what it said in a version, if it is still the one named by `If-Match`.
#[utoipa::path(post, path = "/v1/projects/{id}/versions/{version}/restoration", tag = "projects",
    params(("id" = String, Path, format = Uuid), ("version" = i64, Path),
        ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Project)))]
async fn restore_project_version(
    State(projects): State<Projects>,
    caller: Caller,
    Path((id, version)): Path<(Id<Project>, i64)>,
    if_match: IfMatch,
) -> web::Result<(Etag, Json<Project>)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let mut project = Project::lock(&mut tx, id).await?;
    if_match.check(project.version)?;
    let before = ProjectVersion::get(&mut *tx, id, version).await?;
    project.rename(&before.name)?;
    project.write(before.text)?;
    project.save(&mut tx, projects.clock.now()).await?;
    tx.commit().await?;
    Ok((Etag(project.version), Json(project)))
}
