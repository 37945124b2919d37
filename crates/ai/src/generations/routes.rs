use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use jobs::enqueue;
use kernel::Id;
use utoipa_axum::routes;
use web::{
    Access, Caller, Json, Page, PageQuery, Path, Permission, Problem, Query, RawJson, Routes,
};

use super::{Generation, NewGeneration, RunGeneration, events};
use crate::{Ai, asked::CalledBy, chat::INVOKE, error::ApiResult};

const READ: Permission = Permission::read("ai:read");
const PREFER: HeaderName = HeaderName::from_static("prefer");

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new()
        .route(Access::to(READ), routes!(list_generations))
        .route(Access::to(READ), routes!(show_generation))
        .route(Access::to(INVOKE), routes!(cancel_generation))
        .merge(events::routes())
}

/// Whether the client would rather not wait (RFC 7240).
pub(crate) struct Prefer {
    pub(crate) respond_async: bool,
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let values = parts.headers.get_all(PREFER).iter().filter_map(|it| it.to_str().ok());
        let mut preferences = values.flat_map(|value| value.split(','));
        let respond_async = preferences.any(|it| it.trim().eq_ignore_ascii_case("respond-async"));
        Ok(Self { respond_async })
    }
}

/// Accepts a request that was found to be in order, to be made later.
pub(crate) async fn accept(
    ai: &Ai,
    by: CalledBy,
    operation: &'static str,
    body: &RawJson,
) -> ApiResult {
    // It was read, and no prompt has anything else.
    let request = std::str::from_utf8(&body.0).map_err(Problem::internal)?;
    let mut tx = ai.db.begin().await?;
    let new = NewGeneration { by, operation, request };
    let generation = new.insert(&mut tx, ai.clock.now()).await?;
    enqueue(&mut tx, &RunGeneration { id: generation.id }).await?;
    tx.commit().await?;
    let location = format!("/v1/generations/{}", generation.id);
    let headers = [
        (header::LOCATION, HeaderValue::try_from(location).map_err(Problem::internal)?),
        (HeaderName::from_static("preference-applied"), HeaderValue::from_static("respond-async")),
    ];
    Ok((StatusCode::ACCEPTED, headers, Json(generation)).into_response())
}

/// The generation, or the answer that there is none.
pub(super) async fn find(ai: &Ai, caller: &Caller, id: Id<Generation>) -> web::Result<Generation> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let generation = Generation::find(&mut *tx, id, ai.clock.now()).await?;
    generation.ok_or_else(|| {
        Problem::not_found("generation_not_found", "there is no such generation, or no longer")
    })
}

/// List the org's generations, the newest first, without their answers.
#[utoipa::path(get, path = "/v1/generations", tag = "ai", params(PageQuery),
    responses((status = 200, body = Page<Generation>)))]
async fn list_generations(
    State(ai): State<Ai>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Generation>>> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let now = ai.clock.now();
    let rows = Generation::list(&mut *tx, query.after()?, query.rows()?, now).await?;
    Ok(Json(Page::new(&query, rows, |generation| generation.id)))
}

/// Show a generation, and its answer when there is one.
#[utoipa::path(get, path = "/v1/generations/{id}", tag = "ai",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Generation)))]
async fn show_generation(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<Generation>>,
) -> web::Result<Json<Generation>> {
    Ok(Json(find(&ai, &caller, id).await?))
}

/// Call off a generation that has not begun.
#[utoipa::path(delete, path = "/v1/generations/{id}", tag = "ai",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "It will not be made")))]
async fn cancel_generation(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<Generation>>,
) -> web::Result<Response> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let cancelled = Generation::cancel(&mut tx, id, ai.clock.now()).await?;
    tx.commit().await?;
    if cancelled {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let generation = find(&ai, &caller, id).await?;
    let detail = if generation.status.is_final() { "it has ended" } else { "it has begun" };
    Err(Problem::conflict("generation_not_queued", detail)
        .action("Only a generation that waits can be called off; a call that was made is charged."))
}
