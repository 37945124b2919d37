use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;

use super::{Fault, Mail, store::Store};

/// The simulator's own endpoints, for scripts and other processes.
pub(super) fn routes() -> Router<Store> {
    Router::new()
        .route("/_simulator/mails", get(mails))
        .route("/_simulator/faults", post(misbehave))
        .route("/_simulator/release", post(release))
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

async fn mails(State(store): State<Store>) -> Json<Vec<Mail>> {
    Json(store.mails())
}

async fn misbehave(State(store): State<Store>, Json(order): Json<Order>) -> StatusCode {
    store.misbehave(order.times, order.fault);
    StatusCode::NO_CONTENT
}

async fn release(State(store): State<Store>) -> StatusCode {
    store.release();
    StatusCode::NO_CONTENT
}
