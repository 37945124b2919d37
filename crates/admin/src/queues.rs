use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use jobs::{Filter, Instance, Kind, Queued, State as JobState};
use utoipa_axum::routes;
use web::{Access, Html, Json, Problem, Routes, WantsPage};

use crate::Admin;

/// How many dead letters the page shows.
const MOST: i64 = 20;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_queues))
        .route(Access::operators(), routes!(list_workers))
}

/// All of it at a glance, without a script.
#[derive(Template)]
#[template(path = "queues.html")]
struct Page {
    kinds: Vec<Kind>,
    workers: Vec<Instance>,
    dead: Vec<Queued>,
    most: i64,
    now: DateTime<Utc>,
}

/// Show how full the queue of background jobs is, kind by kind. A browser gets a page, with the workers and the newest
/// dead letters; it asks for a password, which is the token of an operator.
#[utoipa::path(get, path = "/admin/v1/queues", tag = "operators",
    responses((status = 200, body = Vec<Kind>, description = "A page, to browsers")))]
async fn list_queues(
    State(admin): State<Admin>,
    WantsPage(wants_page): WantsPage,
) -> web::Result<Response> {
    let db = admin.db.pool();
    let kinds = jobs::kinds(db).await?;
    if !wants_page {
        return Ok(Json(kinds).into_response());
    }
    let dead = Filter { state: Some(JobState::Dead), ..Filter::default() };
    let page = Page {
        kinds,
        workers: jobs::instances(db).await?,
        dead: jobs::list(db, &dead, MOST).await?,
        most: MOST,
        now: admin.clock.now(),
    };
    Ok(Html(page.render().map_err(Problem::internal)?).into_response())
}

/// List the workers, the one that was heard last first. A process has one for quick jobs and one for slow ones.
#[utoipa::path(get, path = "/admin/v1/workers", tag = "operators",
    responses((status = 200, body = Vec<Instance>)))]
async fn list_workers(State(admin): State<Admin>) -> web::Result<Json<Vec<Instance>>> {
    Ok(Json(jobs::instances(admin.db.pool()).await?))
}
