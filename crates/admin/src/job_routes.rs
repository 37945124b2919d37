use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use jobs::{Filter, Queued, State as JobState};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Json, PageQuery, Path, Problem, Query, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_background_jobs))
        .route(Access::operators(), routes!(show_background_job, discard_background_job))
        .route(Access::operators(), routes!(retry_background_job))
}

/// Which jobs; absent: all.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BackgroundJobs {
    /// Of one kind.
    kind: Option<String>,
    /// In one state; `dead` for those that failed for good.
    state: Option<JobState>,
    /// Only those queued before the job with this id.
    before: Option<i64>,
    /// How many.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
}

/// List background jobs, the newest first.
#[utoipa::path(get, path = "/admin/v1/jobs", tag = "operators", params(BackgroundJobs),
    responses((status = 200, body = Vec<Queued>)))]
async fn list_background_jobs(
    State(admin): State<Admin>,
    Query(query): Query<BackgroundJobs>,
) -> web::Result<Json<Vec<Queued>>> {
    if !(1..=100).contains(&query.limit) {
        return Err(Problem::bad_request("invalid_query", "limit must be 1 to 100"));
    }
    let filter = Filter { name: query.kind, state: query.state, before: query.before };
    Ok(Json(jobs::list(admin.db.pool(), &filter, query.limit.into()).await?))
}

async fn find(admin: &Admin, id: i64) -> web::Result<Queued> {
    jobs::find(admin.db.pool(), id).await?.ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::not_found("job_not_found", "there is no such job; those that are done are gone")
}

/// Show a background job, with what it carries.
#[utoipa::path(get, path = "/admin/v1/jobs/{id}", tag = "operators", params(("id" = i64, Path)),
    responses((status = 200, body = Queued)))]
async fn show_background_job(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
) -> web::Result<Json<Queued>> {
    Ok(Json(find(&admin, id).await?))
}

/// Try a background job again now, with all its attempts.
#[utoipa::path(post, path = "/admin/v1/jobs/{id}/retries", tag = "operators", params(("id" = i64, Path)),
    responses((status = 202, body = Queued)))]
async fn retry_background_job(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Queued>)> {
    let before = find(&admin, id).await?;
    let mut tx = admin.db.begin().await?;
    if !jobs::retry(&mut tx, id).await? {
        return Err(running());
    }
    record(&admin, &mut tx, &origin, "job.retried", &before).await?;
    tx.commit().await?;
    let job = find(&admin, id).await.unwrap_or(before);
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// Discard a background job: it will never be done.
#[utoipa::path(delete, path = "/admin/v1/jobs/{id}", tag = "operators", params(("id" = i64, Path)),
    responses((status = 204, description = "It is gone")))]
async fn discard_background_job(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    origin: Origin,
) -> web::Result<StatusCode> {
    let before = find(&admin, id).await?;
    let mut tx = admin.db.begin().await?;
    if !jobs::discard(&mut tx, id).await? {
        return Err(running());
    }
    record(&admin, &mut tx, &origin, "job.discarded", &before).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn running() -> Problem {
    Problem::conflict("job_runs", "the job runs just now").action("Wait until it has ended.")
}

async fn record(
    admin: &Admin,
    db: &mut sqlx::PgConnection,
    origin: &Origin,
    action: &'static str,
    job: &Queued,
) -> sqlx::Result<()> {
    let before =
        json!({ "kind": job.name, "attempts": job.attempts, "last_error": job.last_error });
    let entry = Entry::new(origin, None, action, job.id).before(before);
    entry.record(db, admin.clock.now()).await
}
