use audit::Origin;
use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Permission, Role, Routes};

use super::{Experiment, Variant, experiment::NewExperiment, result::Outcome};
use crate::Flags;

/// People only: what a program meets tells nothing about people.
const TAKE_PART: Permission =
    Permission { name: "experiments:take_part", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Flags> {
    Routes::new()
        .route(Access::to(TAKE_PART), routes!(expose))
        .route(Access::to(TAKE_PART), routes!(convert))
        .route(Access::operators(), routes!(list_experiments, begin_experiment))
        .route(Access::operators(), routes!(end_experiment))
}

/// What somebody is to be shown.
#[derive(Serialize, ToSchema)]
struct Shown {
    variant: Variant,
}

/// An experiment, and how its variants have done so far.
#[derive(Serialize, ToSchema)]
struct ExperimentReport {
    #[serde(flatten)]
    experiment: Experiment,
    outcome: Outcome,
}

/// Say that you are about to see an experiment; answers which variant.
#[utoipa::path(post, path = "/v1/experiments/{key}/exposures", tag = "flags",
    params(("key" = String, Path)), responses((status = 200, body = Shown)))]
async fn expose(
    State(flags): State<Flags>,
    caller: Caller,
    Path(key): Path<String>,
) -> web::Result<Json<Shown>> {
    Ok(Json(Shown { variant: flags.expose(&key, caller.user).await? }))
}

/// Say that you did what an experiment hopes for.
#[utoipa::path(post, path = "/v1/experiments/{key}/conversions", tag = "flags",
    params(("key" = String, Path)), responses((status = 204)))]
async fn convert(
    State(flags): State<Flags>,
    caller: Caller,
    Path(key): Path<String>,
) -> web::Result<StatusCode> {
    flags.convert(&key, caller.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List experiments, the newest first, and how their variants have done.
#[utoipa::path(get, path = "/admin/v1/experiments", tag = "operators",
    responses((status = 200, body = Vec<ExperimentReport>)))]
async fn list_experiments(State(flags): State<Flags>) -> web::Result<Json<Vec<ExperimentReport>>> {
    let mut reports = Vec::new();
    for experiment in Experiment::list(flags.db.pool()).await? {
        let outcome = Outcome::read(flags.db.pool(), &experiment.key).await?;
        reports.push(ExperimentReport { experiment, outcome });
    }
    Ok(Json(reports))
}

/// Begin an experiment. What it asks cannot be changed, and its key is taken for good.
#[utoipa::path(post, path = "/admin/v1/experiments", tag = "operators",
    request_body = NewExperiment, responses((status = 201, body = Experiment)))]
async fn begin_experiment(
    State(flags): State<Flags>,
    origin: Origin,
    Json(new): Json<NewExperiment>,
) -> web::Result<(StatusCode, Json<Experiment>)> {
    Ok((StatusCode::CREATED, Json(flags.begin(new, &origin).await?)))
}

/// End an experiment now. Without its whole sample it has no winner, and everybody is shown the control.
#[utoipa::path(post, path = "/admin/v1/experiments/{key}/end", tag = "operators",
    params(("key" = String, Path)), responses((status = 200, body = Shown)))]
async fn end_experiment(
    State(flags): State<Flags>,
    Path(key): Path<String>,
    origin: Origin,
) -> web::Result<Json<Shown>> {
    let winner = flags.end(&key, &origin).await?;
    Ok(Json(Shown { variant: winner.unwrap_or(Variant::Control) }))
}
