use audit::Origin;
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::Id;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Routes};

use crate::{ApiKey, Auth, NewApiKey};

const READ: Permission = Permission::manage("api_keys:read").people_only();
const WRITE: Permission = Permission::manage("api_keys:write").people_only();

pub(crate) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::to(READ), routes!(list_api_keys))
        .route(Access::to(WRITE), routes!(create_api_key))
        .route(Access::to(WRITE), routes!(revoke_api_key))
}

/// What to make a key of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKeyInput {
    #[schema(min_length = 1, max_length = 100, example = "Production server")]
    name: String,
    /// Names of the permissions it has; absent: all that keys may have.
    #[schema(min_items = 1, max_items = 50, example = json!(["projects:read"]))]
    scopes: Option<Vec<String>>,
    /// When it stops working; absent: never by itself.
    expires_at: Option<DateTime<Utc>>,
    /// How many requests a minute it may make, within the limits of its maker and org.
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests_per_minute: Option<i32>,
}

/// A key just made.
#[derive(Serialize, ToSchema)]
struct CreatedApiKey {
    #[serde(flatten)]
    key: ApiKey,
    /// The key itself. It is not stored and cannot be shown again.
    #[schema(pattern = "^slip_[0-9A-Za-z]{36}$")]
    secret: String,
}

/// List the API keys of the org.
#[utoipa::path(get, path = "/v1/api-keys", tag = "API keys", params(PageQuery),
    responses((status = 200, body = Page<ApiKey>)))]
async fn list_api_keys(
    State(auth): State<Auth>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<ApiKey>>> {
    let mut tx = auth.db.tenant(caller.org).await?;
    let rows = ApiKey::list(&mut *tx, caller.org, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |key| key.id)))
}

/// Create an API key, which can do what its maker can, within its scopes.
#[utoipa::path(post, path = "/v1/api-keys", tag = "API keys", request_body = ApiKeyInput,
    responses((status = 201, body = CreatedApiKey)))]
async fn create_api_key(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<ApiKeyInput>,
) -> web::Result<(StatusCode, Json<CreatedApiKey>)> {
    let scopes = input.scopes.unwrap_or_else(|| vec!["*".to_owned()]);
    let new = NewApiKey {
        name: input.name,
        scopes,
        expires_at: input.expires_at,
        requests_per_minute: input.requests_per_minute,
    };
    let (key, secret) = auth.create_api_key(caller.org, caller.user, new, &origin).await?;
    let secret = secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(CreatedApiKey { key, secret })))
}

/// Revoke an API key: it stops working within a second.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "API keys",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The key has stopped working")))]
async fn revoke_api_key(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<kernel::ApiKey>>,
) -> web::Result<StatusCode> {
    auth.revoke_api_key(caller.org, id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
