use audit::Origin;
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, Json, Page, PageQuery, Path, Permission, Permissions, Problem, Query, Role,
    Routes,
};

use crate::{ApiKey, Auth, NewApiKey};

const READ: Permission = Permission::manage("api_keys:read").people_only();
const LOOK: Permission = Permission::read("me:read");
const WRITE: Permission = Permission::manage("api_keys:write").people_only();

pub(crate) fn routes() -> Routes<Auth> {
    // A token that is stolen lasts minutes; what it could make here would last for good.
    let make = Access::to(WRITE).after_recent_sign_in();
    Routes::new()
        .route(Access::to(READ), routes!(list_api_keys))
        .route(make, routes!(create_api_key))
        .route(Access::to(WRITE), routes!(revoke_api_key))
        .route(make, routes!(rotate_api_key))
        .route(Access::to(LOOK), routes!(list_permissions))
}

/// What to make a key of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKeyInput {
    #[schema(min_length = 1, max_length = 100, example = "Production server")]
    name: String,
    /// Names of the permissions it has (`GET /v1/permissions`), `*:read` for all that only look, or `*`
    /// for all that keys may have, which is also what an absent list means.
    #[schema(min_items = 1, max_items = 50, example = json!(["projects:read"]))]
    scopes: Option<Vec<String>>,
    /// When it stops working; absent: never by itself.
    expires_at: Option<DateTime<Utc>>,
    /// How many requests a minute it may make, within the limits of its maker and org.
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests_per_minute: Option<i32>,
}

/// How to exchange a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Seconds for which the secret before goes on working; a day unless given.
    #[serde(default = "Rotation::day")]
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    overlap_seconds: u32,
}

impl Rotation {
    fn day() -> u32 {
        86_400
    }
}

/// A right to use operations.
#[derive(Serialize, ToSchema)]
#[schema(as = Permission)]
struct NamedPermission {
    #[schema(example = "projects:read")]
    name: &'static str,
    /// Roles of people who have it.
    roles: &'static [Role],
    /// Whether API keys may have it, as a scope.
    api_keys: bool,
}

/// A key just made, or its new secret.
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
    permissions: Permissions,
    Json(input): Json<ApiKeyInput>,
) -> web::Result<(StatusCode, Json<CreatedApiKey>)> {
    let scopes = input.scopes.unwrap_or_else(|| vec!["*".to_owned()]);
    if let Some(unknown) = scopes.iter().find(|scope| !permissions.is_scope(scope)) {
        let detail = format!("has {unknown:.50?}, which is no permission that keys may have");
        return Err(Problem::invalid_field("/scopes", detail)
            .action("See GET /v1/permissions for those that there are."));
    }
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

/// Give an API key a new secret. Its id, scopes, limit and budget stay; the secret before goes on
/// working for a while.
#[utoipa::path(post, path = "/v1/api-keys/{id}/rotations", tag = "API keys", request_body = Rotation,
    params(("id" = String, Path, format = Uuid)), responses((status = 201, body = CreatedApiKey)))]
async fn rotate_api_key(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<kernel::ApiKey>>,
    Json(rotation): Json<Rotation>,
) -> web::Result<(StatusCode, Json<CreatedApiKey>)> {
    let overlap = TimeDelta::seconds(rotation.overlap_seconds.into());
    let (key, secret) = auth.rotate_api_key(caller.org, id, overlap, &origin).await?;
    let secret = secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(CreatedApiKey { key, secret })))
}

/// List every permission: which roles have it, and whether API keys may.
#[utoipa::path(get, path = "/v1/permissions", tag = "API keys",
    responses((status = 200, body = Vec<NamedPermission>)))]
async fn list_permissions(permissions: Permissions) -> Json<Vec<NamedPermission>> {
    let named = permissions.iter().map(|&Permission { name, roles, keys }| NamedPermission {
        name,
        roles,
        api_keys: keys,
    });
    Json(named.collect())
}
