use ::billing::{Error, InboxEvent, InboxQuery, Replay};
use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Page, Path, Query, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_stripe_events))
        .route(Access::operators(), routes!(show_stripe_event))
        .route(Access::operators(), routes!(replay_stripe_event))
        .route(Access::operators(), routes!(replay_stripe_events))
}

/// List the events that Stripe sent, the newest first, unknown types and versions included.
#[utoipa::path(get, path = "/admin/v1/billing/events", tag = "operators", params(InboxQuery),
    responses((status = 200, body = Page<InboxEvent>)))]
async fn list_stripe_events(
    State(admin): State<Admin>,
    Query(query): Query<InboxQuery>,
) -> web::Result<Json<Page<InboxEvent>>> {
    Ok(Json(InboxEvent::list(admin.db.pool(), &query).await?))
}

/// An event's body.
#[derive(Serialize, ToSchema)]
struct StripeEventBody {
    /// Exactly as it was signed.
    payload: String,
}

/// Show the body of an event exactly as it came.
#[utoipa::path(get, path = "/admin/v1/billing/events/{id}", tag = "operators",
    params(("id" = String, Path)), responses((status = 200, body = StripeEventBody)))]
async fn show_stripe_event(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> web::Result<Json<StripeEventBody>> {
    let payload = InboxEvent::payload(admin.db.pool(), &id).await?.ok_or(Error::NoSuchEvent)?;
    Ok(Json(StripeEventBody { payload }))
}

/// Apply an event again. Stripe is asked for its object's newest state, so nothing happens twice.
#[utoipa::path(post, path = "/admin/v1/billing/events/{id}/replays", tag = "operators",
    params(("id" = String, Path)), responses((status = 202, description = "It will be applied again")))]
async fn replay_stripe_event(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    origin: Origin,
) -> web::Result<StatusCode> {
    let mut tx = admin.db.begin().await?;
    if !InboxEvent::replay(&mut tx, &id).await? {
        return Err(Error::NoSuchEvent.into());
    }
    let entry = Entry::new(&origin, None, "stripe_event.replayed", &id);
    entry.record(&mut tx, admin.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// What will be applied again.
#[derive(Serialize, ToSchema)]
struct Replayed {
    /// How many events.
    events: usize,
}

/// Apply every event again that was received in a time, of one type or all.
#[utoipa::path(post, path = "/admin/v1/billing/event-replays", tag = "operators", request_body = Replay,
    responses((status = 202, body = Replayed)))]
async fn replay_stripe_events(
    State(admin): State<Admin>,
    origin: Origin,
    Json(replay): Json<Replay>,
) -> web::Result<(StatusCode, Json<Replayed>)> {
    let mut tx = admin.db.begin().await?;
    let events = replay.run(&mut tx).await?;
    let range = format!("{}/{}", replay.from.to_rfc3339(), replay.to.to_rfc3339());
    let after = json!({ "events": events, "type": replay.kind });
    let entry = Entry::new(&origin, None, "stripe_events.replayed", range);
    entry.after(after).record(&mut tx, admin.clock.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { events })))
}
