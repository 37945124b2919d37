use axum::extract::State;
use utoipa_axum::routes;
use web::{Access, Problem, RateClass, Routes};

use crate::{
    Health,
    report::{HealthReport, HealthStatus},
};

pub(crate) fn routes() -> Routes<Health> {
    let probe = Access::public().limited_as(RateClass::Unlimited);
    Routes::new()
        .route(probe, routes!(liveness))
        .route(probe, routes!(readiness))
        .route(probe, routes!(health))
        .route(probe, routes!(health_alias))
}

/// Whether the process runs; if not, restart it.
///
/// Looks at nothing else, so that a failing dependency never gets instances restarted.
#[utoipa::path(get, path = "/health/live", tag = "health", responses(
    (status = 200, body = HealthReport, content_type = "application/health+json"),
))]
async fn liveness() -> HealthReport {
    HealthReport::bare(HealthStatus::Pass, None)
}

/// Whether this instance may receive traffic.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = 200, body = HealthReport, content_type = "application/health+json"),
    (status = 503, body = HealthReport, content_type = "application/health+json"),
))]
async fn readiness(State(health): State<Health>) -> web::Result<HealthReport> {
    if health.is_draining() {
        return Ok(HealthReport::bare(HealthStatus::Fail, Some("shutting down")));
    }
    health.critical.report().await.map_err(Problem::internal)
}

/// How everything is that the product depends on.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, body = HealthReport, content_type = "application/health+json"),
    (status = 503, body = HealthReport, content_type = "application/health+json"),
))]
async fn health(State(health): State<Health>) -> web::Result<HealthReport> {
    health.all.report().await.map_err(Problem::internal)
}

/// The same as `/health`, for monitors that expect it under `/api`.
#[utoipa::path(get, path = "/api/health", tag = "health", responses(
    (status = 200, body = HealthReport, content_type = "application/health+json"),
    (status = 503, body = HealthReport, content_type = "application/health+json"),
))]
async fn health_alias(state: State<Health>) -> web::Result<HealthReport> {
    health(state).await
}
