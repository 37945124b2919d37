use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use kernel::Id;
use org_jobs::OrgJob;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use uuid::Uuid;
use web::{Access, Caller, Json, Page, PageQuery, Path, Query, RateClass, Routes};

use super::{
    creation::{Creation, Shown, Which},
    order::{CreationsInput, Ordered},
    rating::RatingInput,
    retry::RetryInput,
    scores::Score,
    step::StepName,
};
use crate::{READ, Studio, WRITE};

/// Of a brief in a list, in characters.
const BEGINNING: i32 = 200;

pub(crate) fn routes() -> Routes<Studio> {
    let (read, write) = (Access::to(READ), Access::to(WRITE));
    let makes = write.limited_as(RateClass::Render);
    Routes::new()
        .route(read, routes!(list_creations))
        .route(read, routes!(show_creation))
        .route(read, routes!(list_creation_scores))
        .route(makes, routes!(order_creations))
        .route(makes, routes!(retry_creation_step))
        .route(write, routes!(rate_creation))
        .route(write, routes!(delete_creation))
}

/// Which creations to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CreationsQuery {
    /// Only those that this job makes, or made last.
    #[param(value_type = Option<String>, format = Uuid)]
    job_id: Option<Uuid>,
    /// Only those whose result looks so good at least, of a hundred points.
    #[param(minimum = 0, maximum = 100)]
    min_quality: Option<i16>,
    /// Items per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

type Queued<T> = (StatusCode, [(HeaderName, String); 1], Json<T>);

/// What is answered for what a job makes.
fn queued<T>(job: Id<OrgJob>, body: T) -> Queued<T> {
    (StatusCode::ACCEPTED, [(header::LOCATION, format!("/v1/jobs/{job}"))], Json(body))
}

/// List your creations, the newest first.
#[utoipa::path(get, path = "/v1/creations", tag = "studio", params(CreationsQuery),
    responses((status = 200, body = Page<Creation>)))]
async fn list_creations(
    State(studio): State<Studio>,
    caller: Caller,
    Query(query): Query<CreationsQuery>,
) -> web::Result<Json<Page<Creation>>> {
    let CreationsQuery { job_id: job, min_quality, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let which = Which { id: None, job, min_quality, before: page.after()? };
    let mut tx = studio.db.tenant(caller.org).await?;
    let found = Creation::select(&mut *tx, caller.user, &which, BEGINNING, page.rows()?).await?;
    Ok(Json(Page::new(&page, found, |it| it.id)))
}

/// Have creations made, each planned first and charged for itself. Answers the job whose items they are.
#[utoipa::path(post, path = "/v1/creations", tag = "studio", request_body = CreationsInput,
    responses((status = 202, body = Ordered)))]
async fn order_creations(
    State(studio): State<Studio>,
    caller: Caller,
    Json(input): Json<CreationsInput>,
) -> web::Result<Queued<Ordered>> {
    let ordered = studio.order(&caller, input).await?;
    Ok(queued(ordered.job.id, ordered))
}

/// Show a creation of yours, and what came of each step.
#[utoipa::path(get, path = "/v1/creations/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Shown)))]
async fn show_creation(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Creation>>,
) -> web::Result<Json<Shown>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Ok(Json(Creation::get(&mut tx, caller.user, id).await?))
}

/// Take a step anew, and those after it: one that failed, or one whose answer you do not like. Answers the job.
#[utoipa::path(post, path = "/v1/creations/{id}/steps/{step}/retries", tag = "studio",
    params(("id" = String, Path, format = Uuid), ("step" = StepName, Path)),
    request_body = RetryInput, responses((status = 202, body = OrgJob)))]
async fn retry_creation_step(
    State(studio): State<Studio>,
    caller: Caller,
    Path(which): Path<(Id<Creation>, StepName)>,
    Json(input): Json<RetryInput>,
) -> web::Result<Queued<OrgJob>> {
    let job = studio.retry(&caller, which, input).await?;
    Ok(queued(job.id, job))
}

/// Say how good the result is.
#[utoipa::path(put, path = "/v1/creations/{id}/rating", tag = "studio",
    params(("id" = String, Path, format = Uuid)), request_body = RatingInput,
    responses((status = 200, body = Shown)))]
async fn rate_creation(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Creation>>,
    Json(rating): Json<RatingInput>,
) -> web::Result<Json<Shown>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    rating.give(&mut tx, caller.user, id).await?;
    let shown = Creation::get(&mut tx, caller.user, id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// Delete a creation of yours that is not being made.
#[utoipa::path(delete, path = "/v1/creations/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn delete_creation(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Creation>>,
) -> web::Result<StatusCode> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Creation::lock(&mut tx, caller.user, id).await?;
    sqlx::query!("delete from creations where id = $1", id as _).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How good the org's results are, by model and version of template.
#[utoipa::path(get, path = "/v1/creation-scores", tag = "studio",
    responses((status = 200, body = Vec<Score>)))]
async fn list_creation_scores(
    State(studio): State<Studio>,
    caller: Caller,
) -> web::Result<Json<Vec<Score>>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Ok(Json(Score::list(&mut *tx).await?))
}
