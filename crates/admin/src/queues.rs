use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_queues))
        .route(Access::operators(), routes!(list_workers))
}

/// How many jobs of one kind there are.
#[derive(Serialize, ToSchema)]
struct QueueStatus {
    /// The kind of job.
    kind: String,
    /// Due and waiting for a worker.
    ready: i64,
    /// Held by a worker.
    running: i64,
    /// Not due yet: for later, or to be tried again.
    waiting: i64,
    /// Out of attempts: somebody has to decide.
    dead: i64,
    /// How long the first of the ready ones has been due; 0 if none is.
    oldest_seconds: i64,
}

/// A worker, or what is known of one that died.
#[derive(Serialize, ToSchema)]
struct WorkerStatus {
    /// Names it while it lives.
    id: String,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When it last gave a sign of life.
    heard_at: DateTime<Utc>,
    /// How long ago that was. More than `JOBS_RESCUE_AFTER_SECONDS` means that it died, and that nobody has taken
    /// over its jobs yet.
    silent_seconds: i64,
    /// The jobs that it holds.
    jobs: i64,
}

/// Show how full the queue of background jobs is, kind by kind.
#[utoipa::path(get, path = "/admin/v1/queues", tag = "operators",
    responses((status = 200, body = Vec<QueueStatus>)))]
async fn list_queues(State(admin): State<Admin>) -> web::Result<Json<Vec<QueueStatus>>> {
    let kinds = jobs::kinds(admin.db.pool()).await?;
    let status = |kind: jobs::Kind| QueueStatus {
        kind: kind.name,
        ready: kind.ready,
        running: kind.running,
        waiting: kind.waiting,
        dead: kind.dead,
        oldest_seconds: kind.oldest_seconds,
    };
    Ok(Json(kinds.into_iter().map(status).collect()))
}

/// List the workers, the one that was heard last first. A process has one for quick jobs and one for slow ones.
#[utoipa::path(get, path = "/admin/v1/workers", tag = "operators",
    responses((status = 200, body = Vec<WorkerStatus>)))]
async fn list_workers(State(admin): State<Admin>) -> web::Result<Json<Vec<WorkerStatus>>> {
    let workers = jobs::instances(admin.db.pool()).await?;
    let status = |it: jobs::Instance| WorkerStatus {
        id: it.id,
        started_at: it.started_at,
        heard_at: it.heard_at,
        silent_seconds: it.silent_seconds,
        jobs: it.jobs,
    };
    Ok(Json(workers.into_iter().map(status).collect()))
}
