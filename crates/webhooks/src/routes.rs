use app::EventType;
use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Page, PageQuery, Path, Permission, Query, Routes};

use crate::{
    Endpoint, Secret, Webhooks,
    input::{EndpointChange, NewEndpoint},
};

/// Events tell of everybody in the org, so those who run it decide who hears them.
pub(crate) const READ: Permission = Permission::manage("webhooks:read");
pub(crate) const WRITE: Permission = Permission::manage("webhooks:write");

pub(crate) fn routes() -> Routes<Webhooks> {
    let (read, write) = (Access::to(READ), Access::to(WRITE));
    Routes::new()
        .route(read, routes!(list_webhook_event_types))
        .route(read, routes!(list_webhook_endpoints))
        .route(read, routes!(show_webhook_endpoint))
        .route(write, routes!(create_webhook_endpoint))
        .route(write, routes!(change_webhook_endpoint, delete_webhook_endpoint))
        .route(write, routes!(rotate_webhook_secret))
}

/// Every type of event there is.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEventTypes {
    items: Vec<EventType>,
}

/// A webhook endpoint with its secret, which is shown only now.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEndpointSecret {
    #[serde(flatten)]
    endpoint: Endpoint,
    /// What events are signed with: keep it where the receiver reads it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

impl WebhookEndpointSecret {
    fn new((endpoint, secret): (Endpoint, Secret)) -> (Etag, Json<Self>) {
        let etag = Etag(endpoint.version);
        (etag, Json(Self { endpoint, secret: secret.reveal() }))
    }
}

/// How to exchange a secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookSecretRotation {
    /// For how long the secret before signs too: 0 to 7 days.
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 604_800, default = 86_400)]
    overlap_seconds: i64,
}

fn a_day() -> i64 {
    86_400
}

/// List every type of event, with its JSON schema and an example.
#[utoipa::path(get, path = "/v1/webhook-event-types", tag = "webhooks",
    responses((status = 200, body = WebhookEventTypes)))]
async fn list_webhook_event_types(State(webhooks): State<Webhooks>) -> Json<WebhookEventTypes> {
    Json(WebhookEventTypes { items: webhooks.types.to_vec() })
}

/// List webhook endpoints, the newest first.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks", params(PageQuery),
    responses((status = 200, body = Page<Endpoint>)))]
async fn list_webhook_endpoints(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Endpoint>>> {
    let mut tx = webhooks.db.tenant(caller.org).await?;
    let rows = Endpoint::list(&mut *tx, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |endpoint| endpoint.id)))
}

/// Show a webhook endpoint.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Endpoint)))]
async fn show_webhook_endpoint(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(id): Path<Id<Endpoint>>,
) -> web::Result<(Etag, Json<Endpoint>)> {
    let mut tx = webhooks.db.tenant(caller.org).await?;
    let endpoint = Endpoint::get(&mut *tx, id).await?;
    Ok((Etag(endpoint.version), Json(endpoint)))
}

/// Create a webhook endpoint. The answer shows its secret, once.
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhooks", request_body = NewEndpoint,
    responses((status = 201, body = WebhookEndpointSecret)))]
async fn create_webhook_endpoint(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    origin: Origin,
    Json(new): Json<NewEndpoint>,
) -> web::Result<(StatusCode, Etag, Json<WebhookEndpointSecret>)> {
    let created = webhooks.create(caller.org, new, &origin).await?;
    let (etag, body) = WebhookEndpointSecret::new(created);
    Ok((StatusCode::CREATED, etag, body))
}

/// Change a webhook endpoint, if it is still the version named by `If-Match`. Enabled again, it is sent what
/// happened meanwhile.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", request_body = EndpointChange,
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Endpoint)))]
async fn change_webhook_endpoint(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Endpoint>>,
    if_match: IfMatch,
    Json(change): Json<EndpointChange>,
) -> web::Result<(Etag, Json<Endpoint>)> {
    let endpoint = webhooks.change(caller.org, id, (change, if_match), &origin).await?;
    Ok((Etag(endpoint.version), Json(endpoint)))
}

/// Delete a webhook endpoint, with everything that was to be sent to it.
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn delete_webhook_endpoint(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Endpoint>>,
) -> web::Result<StatusCode> {
    webhooks.delete(caller.org, id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook endpoint another secret. The one before signs too for a while, so that receivers can be
/// changed without losing anything.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/rotations", tag = "webhooks",
    request_body = WebhookSecretRotation, params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = WebhookEndpointSecret)))]
async fn rotate_webhook_secret(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Endpoint>>,
    Json(rotation): Json<WebhookSecretRotation>,
) -> web::Result<(Etag, Json<WebhookEndpointSecret>)> {
    let rotated = webhooks.rotate(caller.org, id, rotation.overlap_seconds, &origin).await?;
    Ok(WebhookEndpointSecret::new(rotated))
}
