use audit::Origin;
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Query, Routes};

use crate::{
    Endpoint, Webhooks,
    delivery::Message,
    log::Attempt,
    replay::Replay,
    routes::{READ, WRITE},
};

pub(crate) fn routes() -> Routes<Webhooks> {
    let (read, write) = (Access::to(READ), Access::to(WRITE));
    Routes::new()
        .route(read, routes!(list_webhook_deliveries))
        .route(read, routes!(list_webhook_attempts))
        .route(write, routes!(replay_webhook_events))
        .route(write, routes!(send_webhook_test_event))
}

/// What becomes of an event at an endpoint.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookDelivery {
    /// The event's id, sent as `webhook-id` with every attempt.
    #[schema(value_type = String, format = Uuid)]
    event_id: Id<Message>,
    /// What happened.
    r#type: String,
    /// `pending`, `delivered`, or `failed` after the last attempt.
    #[schema(example = "pending")]
    status: String,
    /// How often it was tried.
    attempts: i32,
    /// When it is tried next, unless the endpoint is disabled or paused.
    next_attempt_at: Option<DateTime<Utc>>,
    /// When it happened.
    created_at: DateTime<Utc>,
    /// What is sent.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
}

/// Which deliveries to show; what is absent does not matter.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// Items per page.
    #[serde(default = "twenty")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `pending`, `delivered` or `failed`.
    status: Option<String>,
    /// What happened.
    r#type: Option<String>,
}

fn twenty() -> u16 {
    20
}

/// List what was or will be sent to a webhook endpoint, the newest first.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path, format = Uuid), DeliveryQuery),
    responses((status = 200, body = Page<WebhookDelivery>)))]
async fn list_webhook_deliveries(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(id): Path<Id<Endpoint>>,
    Query(query): Query<DeliveryQuery>,
) -> web::Result<Json<Page<WebhookDelivery>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let after: Option<Id<Message>> = page.after()?;
    let mut tx = webhooks.db.tenant(caller.org).await?;
    Endpoint::get(&mut *tx, id).await?;
    let rows = sqlx::query!(
        r#"select d.event_id as "event_id: Id<Message>", e.type, d.status, d.attempts, d.due_at,
                  d.created_at, e.payload
           from webhook_deliveries d
           join webhook_events e on e.id = d.event_id
           where d.endpoint_id = $1
             and ($2::uuid is null or d.event_id < $2)
             and ($3::text is null or d.status = $3)
             and ($4::text is null or e.type = $4)
           order by d.event_id desc
           limit $5"#,
        id as _,
        after as _,
        query.status,
        query.r#type,
        page.rows()?,
    )
    .fetch_all(&mut *tx)
    .await?;
    let shown = rows.into_iter().map(|row| {
        Ok(WebhookDelivery {
            event_id: row.event_id,
            r#type: row.r#type,
            next_attempt_at: (row.status == "pending").then_some(row.due_at),
            status: row.status,
            attempts: row.attempts,
            created_at: row.created_at,
            payload: RawValue::from_string(row.payload).map_err(web::Problem::internal)?,
        })
    });
    let shown = shown.collect::<web::Result<Vec<_>>>()?;
    Ok(Json(Page::new(&page, shown, |delivery| delivery.event_id)))
}

/// One attempt to deliver an event.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookAttempt {
    #[schema(value_type = String, format = Uuid)]
    id: Id<Attempt>,
    #[schema(value_type = String, format = Uuid)]
    event_id: Id<Message>,
    /// The status that came back, if any did.
    status: Option<i16>,
    /// What went wrong, if anything.
    #[schema(example = "answered 500")]
    error: Option<String>,
    /// The beginning of the answer's body.
    response: String,
    /// How long it took.
    duration_ms: i32,
    /// When it was over.
    created_at: DateTime<Utc>,
}

/// Which attempts to show.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AttemptQuery {
    /// Items per page.
    #[serde(default = "twenty")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Those of this event only.
    #[param(value_type = Option<String>, format = Uuid)]
    event_id: Option<Id<Message>>,
}

/// List the attempts to deliver to a webhook endpoint, the newest first.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}/attempts", tag = "webhooks",
    params(("id" = String, Path, format = Uuid), AttemptQuery),
    responses((status = 200, body = Page<WebhookAttempt>)))]
async fn list_webhook_attempts(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(id): Path<Id<Endpoint>>,
    Query(query): Query<AttemptQuery>,
) -> web::Result<Json<Page<WebhookAttempt>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let after: Option<Id<Attempt>> = page.after()?;
    let mut tx = webhooks.db.tenant(caller.org).await?;
    Endpoint::get(&mut *tx, id).await?;
    let rows = sqlx::query_as!(
        WebhookAttempt,
        r#"select id as "id: _", event_id as "event_id: _", status, error, response, duration_ms, created_at
           from webhook_attempts
           where endpoint_id = $1
             and ($2::uuid is null or id < $2)
             and ($3::uuid is null or event_id = $3)
           order by id desc
           limit $4"#,
        id as _,
        after as _,
        query.event_id as _,
        page.rows()?,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Json(Page::new(&page, rows, |attempt| attempt.id)))
}

/// How many events are sent again.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookReplayed {
    events: u64,
}

/// Send events to a webhook endpoint again: one, or those of a range. Without anything, those that failed.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/replays", tag = "webhooks",
    request_body = Replay, params(("id" = String, Path, format = Uuid)),
    responses((status = 202, body = WebhookReplayed)))]
async fn replay_webhook_events(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Endpoint>>,
    Json(replay): Json<Replay>,
) -> web::Result<(StatusCode, Json<WebhookReplayed>)> {
    let events = webhooks.replay(caller.org, id, &replay, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(WebhookReplayed { events })))
}

/// Which event to pretend.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookTest {
    /// Its type; `webhook.test` unless given. What is sent is the type's example.
    r#type: Option<String>,
}

/// The event that is sent.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookTested {
    #[schema(value_type = String, format = Uuid)]
    event_id: Id<Message>,
}

/// Send a webhook endpoint an example of an event, as if it had happened.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/test-events", tag = "webhooks",
    request_body = WebhookTest, params(("id" = String, Path, format = Uuid)),
    responses((status = 202, body = WebhookTested)))]
async fn send_webhook_test_event(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(id): Path<Id<Endpoint>>,
    Json(test): Json<WebhookTest>,
) -> web::Result<(StatusCode, Json<WebhookTested>)> {
    let event_id = webhooks.send_example(caller.org, id, test.r#type.as_deref()).await?;
    Ok((StatusCode::ACCEPTED, Json(WebhookTested { event_id })))
}
