use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use jobs::{Filter, Queued, State as JobState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Query, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_background_jobs))
        .route(Access::operators(), routes!(show_background_job, discard_background_job))
        .route(Access::operators(), routes!(retry_background_job))
}

/// What a background job is doing.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BackgroundJobState {
    /// Due, and waits for a worker.
    Ready,
    /// Held by a worker.
    Running,
    /// Not due yet: for later, or to be tried again.
    Waiting,
    /// Out of attempts.
    Dead,
}

impl From<BackgroundJobState> for JobState {
    fn from(state: BackgroundJobState) -> Self {
        match state {
            BackgroundJobState::Ready => Self::Ready,
            BackgroundJobState::Running => Self::Running,
            BackgroundJobState::Waiting => Self::Waiting,
            BackgroundJobState::Dead => Self::Dead,
        }
    }
}

impl From<JobState> for BackgroundJobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Ready => Self::Ready,
            JobState::Running => Self::Running,
            JobState::Waiting => Self::Waiting,
            JobState::Dead => Self::Dead,
        }
    }
}

/// A job in the queue.
#[derive(Serialize, ToSchema)]
struct BackgroundJob {
    /// Names it.
    id: i64,
    /// What it does.
    kind: String,
    /// What it is doing.
    state: BackgroundJobState,
    /// How often it was tried.
    attempts: i16,
    /// How often it may be.
    max_attempts: i16,
    /// What makes it the only one of its kind.
    key: Option<String>,
    /// When it was queued.
    created_at: DateTime<Utc>,
    /// When it is due.
    due_at: DateTime<Utc>,
    /// The worker that holds it.
    worker: Option<String>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// What it carries; only when it is asked for alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
}

impl From<Queued> for BackgroundJob {
    fn from(job: Queued) -> Self {
        Self {
            id: job.id,
            kind: job.name,
            state: job.state.into(),
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            key: job.key,
            created_at: job.created_at,
            due_at: job.due_at,
            worker: job.locked_by,
            last_error: job.last_error,
            payload: None,
        }
    }
}

/// Which jobs; absent: all.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BackgroundJobs {
    /// Of one kind.
    kind: Option<String>,
    /// In one state; `dead` for those that failed for good.
    state: Option<BackgroundJobState>,
    /// Only those queued before the job with this id.
    before: Option<i64>,
    /// How many.
    #[serde(default = "twenty")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u8,
}

fn twenty() -> u8 {
    20
}

/// List background jobs, the newest first.
#[utoipa::path(get, path = "/admin/v1/jobs", tag = "operators", params(BackgroundJobs),
    responses((status = 200, body = Vec<BackgroundJob>)))]
async fn list_background_jobs(
    State(admin): State<Admin>,
    Query(query): Query<BackgroundJobs>,
) -> web::Result<Json<Vec<BackgroundJob>>> {
    if !(1..=100).contains(&query.limit) {
        return Err(Problem::bad_request("invalid_query", "limit must be 1 to 100"));
    }
    let name = query.kind.filter(|kind| !kind.contains('\0'));
    let filter = Filter { name, state: query.state.map(Into::into), before: query.before };
    let jobs = jobs::list(admin.db.pool(), &filter, query.limit.into()).await?;
    Ok(Json(jobs.into_iter().map(Into::into).collect()))
}

async fn find(admin: &Admin, id: i64) -> web::Result<BackgroundJob> {
    let (job, payload) = jobs::find(admin.db.pool(), id).await?.ok_or_else(not_found)?;
    let payload = payload.get("job").cloned();
    Ok(BackgroundJob { payload, ..job.into() })
}

fn not_found() -> Problem {
    Problem::not_found("job_not_found", "there is no such job; those that are done are gone")
}

/// Show a background job, with what it carries.
#[utoipa::path(get, path = "/admin/v1/jobs/{id}", tag = "operators", params(("id" = i64, Path)),
    responses((status = 200, body = BackgroundJob)))]
async fn show_background_job(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
) -> web::Result<Json<BackgroundJob>> {
    Ok(Json(find(&admin, id).await?))
}

/// Try a background job again now, with all its attempts.
#[utoipa::path(post, path = "/admin/v1/jobs/{id}/retries", tag = "operators", params(("id" = i64, Path)),
    responses((status = 202, body = BackgroundJob)))]
async fn retry_background_job(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    origin: Origin,
) -> web::Result<(StatusCode, Json<BackgroundJob>)> {
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
    job: &BackgroundJob,
) -> sqlx::Result<()> {
    let before =
        json!({ "kind": job.kind, "attempts": job.attempts, "last_error": job.last_error });
    let entry = Entry::new(origin, None, action, job.id).before(before);
    entry.record(db, admin.clock.now()).await
}
