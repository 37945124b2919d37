use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Message,
    store::{Counters, Fault, Store},
};

pub(super) fn routes() -> Router<Store> {
    Router::new()
        .route("/api/messages", get(list).delete(clear))
        .route("/api/messages/{id}", get(show))
        .route("/_simulator/state", get(counters))
        .route("/_simulator/faults", post(faults))
        .route("/_simulator/release", post(release))
}

#[derive(Deserialize)]
struct Filter {
    to: Option<String>,
}

#[derive(Deserialize)]
struct Order {
    #[serde(flatten)]
    fault: Fault,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

async fn list(State(store): State<Store>, Query(filter): Query<Filter>) -> Json<Vec<Message>> {
    let messages = store.messages(filter.to.as_deref());
    Json(messages.into_iter().map(Arc::unwrap_or_clone).collect())
}

async fn show(
    State(store): State<Store>,
    Path(id): Path<usize>,
) -> Result<Json<Message>, StatusCode> {
    store.message(id).map(Arc::unwrap_or_clone).map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn clear(State(store): State<Store>) -> StatusCode {
    store.clear();
    StatusCode::NO_CONTENT
}

async fn counters(State(store): State<Store>) -> Json<Counters> {
    Json(store.counters())
}

async fn faults(State(store): State<Store>, Json(order): Json<Order>) -> StatusCode {
    store.queue(order.times, order.fault);
    StatusCode::NO_CONTENT
}

async fn release(State(store): State<Store>) -> StatusCode {
    store.release();
    StatusCode::NO_CONTENT
}
