use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Problem, Query, Routes};

use crate::{OrgJob, OrgJobs, Status, item::Item};

pub(crate) const READ: Permission = Permission::read("jobs:read");
const WRITE: Permission = Permission::write("jobs:write");
/// Items per page.
const MOST: i64 = 100;

pub(crate) fn routes() -> Routes<OrgJobs> {
    Routes::new()
        .route(Access::to(READ), routes!(list_jobs))
        .route(Access::to(READ), routes!(show_job))
        .route(Access::to(READ), routes!(list_job_items))
        .route(Access::to(WRITE), routes!(cancel_job))
}

/// Which jobs; absent: all.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Jobs {
    /// Of one kind.
    kind: Option<String>,
    /// With one status.
    status: Option<Status>,
    /// Jobs per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which items.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Items {
    /// Only those after this position.
    #[param(minimum = 0)]
    after: Option<i32>,
}

/// List the org's jobs, the newest first, without what came of them.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(Jobs),
    responses((status = 200, body = Page<OrgJob>)))]
async fn list_jobs(
    State(jobs): State<OrgJobs>,
    caller: Caller,
    Query(query): Query<Jobs>,
) -> web::Result<Json<Page<OrgJob>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (before, rows) = (page.after()?, page.rows()?);
    let mut tx = jobs.db.tenant(caller.org).await?;
    let rows = OrgJob::list(&mut *tx, query.kind.as_deref(), query.status, before, rows).await?;
    Ok(Json(Page::new(&page, rows, |job| job.id)))
}

/// The job, or the answer that there is none.
pub(crate) async fn find(jobs: &OrgJobs, caller: &Caller, id: Id<OrgJob>) -> web::Result<OrgJob> {
    let mut tx = jobs.db.tenant(caller.org).await?;
    let job = OrgJob::find(&mut *tx, id).await?;
    job.ok_or_else(|| Problem::not_found("job_not_found", "there is no such job, or no longer"))
}

/// Show a job: how far it is, and what came of it if it has one item.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = OrgJob)))]
async fn show_job(
    State(jobs): State<OrgJobs>,
    caller: Caller,
    Path(id): Path<Id<OrgJob>>,
) -> web::Result<Json<OrgJob>> {
    Ok(Json(find(&jobs, &caller, id).await?))
}

/// List up to 100 items of a job, in their order, and what came of each.
#[utoipa::path(get, path = "/v1/jobs/{id}/items", tag = "jobs",
    params(("id" = String, Path, format = Uuid), Items), responses((status = 200, body = Vec<Item>)))]
async fn list_job_items(
    State(jobs): State<OrgJobs>,
    caller: Caller,
    Path(id): Path<Id<OrgJob>>,
    Query(query): Query<Items>,
) -> web::Result<Json<Vec<Item>>> {
    let job = find(&jobs, &caller, id).await?;
    let mut tx = jobs.db.tenant(caller.org).await?;
    Ok(Json(Item::list(&mut *tx, job.id, query.after, MOST).await?))
}

/// Call off a job: at once if it waits; if it runs, after what is under way. What was done stays done, and charged.
#[utoipa::path(put, path = "/v1/jobs/{id}/cancellation", tag = "jobs",
    params(("id" = String, Path, format = Uuid)), responses((status = 202, body = OrgJob)))]
async fn cancel_job(
    State(jobs): State<OrgJobs>,
    caller: Caller,
    Path(id): Path<Id<OrgJob>>,
) -> web::Result<(StatusCode, Json<OrgJob>)> {
    let mut tx = jobs.db.tenant(caller.org).await?;
    let cancelled = OrgJob::cancel(&mut tx, id, jobs.clock.now()).await?;
    tx.commit().await?;
    let job = find(&jobs, &caller, id).await?;
    if cancelled || job.cancelled_at.is_some() {
        return Ok((StatusCode::ACCEPTED, Json(job)));
    }
    Err(Problem::conflict("job_has_ended", "the job has ended"))
}
