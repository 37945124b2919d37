use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use kernel::Id;
use org_jobs::{By, OrgJob};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Problem, RateClass, Routes};

use super::{MakeProjectExport, ProjectExport};
use crate::{
    Project, Projects,
    routes::{READ, WRITE},
};

pub(crate) fn routes() -> Routes<Projects> {
    let make = Access::to(WRITE).limited_as(RateClass::Render).not_for_stand_ins();
    Routes::new()
        .route(make, routes!(export_project))
        .route(Access::to(READ).not_for_stand_ins(), routes!(download_project_export))
        .route(Access::to(READ), routes!(download_project_text))
}

/// Have an archive made of a project. Answers a job, whose item says where to download it, and until when.
#[utoipa::path(post, path = "/v1/projects/{id}/exports", tag = "projects",
    params(("id" = String, Path, format = Uuid)), responses((status = 202, body = OrgJob)))]
async fn export_project(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
) -> web::Result<(StatusCode, [(HeaderName, String); 1], Json<OrgJob>)> {
    Project::get(&mut *projects.db.tenant(caller.org).await?, id).await?;
    let mut tx = projects.db.begin().await?;
    let export = [MakeProjectExport { project: id }];
    let job = projects.jobs.queue(&mut tx, By::from(&caller), &export).await?;
    tx.commit().await?;
    let location = [(header::LOCATION, format!("/v1/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(job)))
}

/// Download an archive of a project: what it is as JSON, what it says and said as text, and its cover.
#[utoipa::path(get, path = "/v1/project-exports/{id}/archive", tag = "projects",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
async fn download_project_export(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<ProjectExport>>,
) -> web::Result<([(HeaderName, HeaderValue); 3], Body)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let export = ProjectExport::get(&mut *tx, id, projects.clock.now()).await?;
    drop(tx);
    let content = projects.storage.read(&export.key(), None).await.map_err(Problem::from)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"project.zip\""),
        ),
        (header::CONTENT_LENGTH, content.size.into()),
    ];
    Ok((headers, Body::from_stream(content.stream)))
}

/// Download what a project says.
#[utoipa::path(get, path = "/v1/projects/{id}/text", tag = "projects",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content_type = "text/plain", body = String)))]
async fn download_project_text(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
) -> web::Result<([(HeaderName, HeaderValue); 2], String)> {
    let mut tx = projects.db.tenant(caller.org).await?;
    let text = Project::get(&mut *tx, id).await?.text;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"project.txt\""),
        ),
    ];
    Ok((headers, text))
}
