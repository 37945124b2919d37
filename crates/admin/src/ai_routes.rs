use ai::{Route, Rule};
use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Etag, IfMatch, Json, Path, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_ai_routes))
        .route(Access::operators(), routes!(list_ai_route_versions))
        .route(Access::operators(), routes!(set_ai_route, remove_ai_route))
}

/// Rules to be put in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RouteInput {
    /// In the order in which they are tried.
    #[schema(min_items = 1, max_items = 50)]
    rules: Vec<Rule>,
}

/// List the names that callers may use in place of a model's, and who serves them.
#[utoipa::path(get, path = "/admin/v1/ai-routes", tag = "operators",
    responses((status = 200, body = Vec<Route>)))]
async fn list_ai_routes(State(admin): State<Admin>) -> web::Result<Json<Vec<Route>>> {
    Ok(Json(Route::all(admin.db.pool()).await?))
}

/// List every version of a route, the newest first.
#[utoipa::path(get, path = "/admin/v1/ai-routes/{name}/versions", tag = "operators",
    params(("name" = String, Path)), responses((status = 200, body = Vec<Route>)))]
async fn list_ai_route_versions(
    State(admin): State<Admin>,
    Path(name): Path<String>,
) -> web::Result<Json<Vec<Route>>> {
    Ok(Json(Route::history(admin.db.pool(), &name).await?))
}

/// Put rules in force under a name, as a new version, within a second and everywhere.
#[utoipa::path(put, path = "/admin/v1/ai-routes/{name}", tag = "operators", request_body = RouteInput,
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Route)))]
async fn set_ai_route(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    origin: Origin,
    if_match: IfMatch,
    Json(input): Json<RouteInput>,
) -> web::Result<(Etag, Json<Route>)> {
    Rule::check_all(&input.rules)?;
    let route = change(&admin, &name, &input.rules, if_match, &origin).await?;
    Ok((Etag(route.version.into()), Json(route)))
}

/// Remove a route. Its versions are kept.
#[utoipa::path(delete, path = "/admin/v1/ai-routes/{name}", tag = "operators",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "Nobody can ask for it any more")))]
async fn remove_ai_route(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    origin: Origin,
    if_match: IfMatch,
) -> web::Result<StatusCode> {
    change(&admin, &name, &[], if_match, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(
    admin: &Admin,
    name: &str,
    rules: &[Rule],
    if_match: IfMatch,
    origin: &Origin,
) -> web::Result<Route> {
    let now = admin.clock.now();
    let mut tx = admin.db.begin().await?;
    let route = Route::set(&mut tx, name, rules, if_match, now).await?;
    let after = json!({ "version": route.version, "rules": rules });
    let entry = Entry::new(origin, None, "ai_route.changed", name);
    entry.after(after).record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(route)
}
