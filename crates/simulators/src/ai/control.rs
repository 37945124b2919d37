use axum::{
    Json, Router, extract,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Fault,
    calls::{Calls, State},
};

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

/// The simulator's own endpoints, for scripts and other processes.
pub(super) fn routes() -> Router<Calls> {
    Router::new()
        .route("/_simulator/state", get(state))
        .route("/_simulator/faults", post(faults))
        .route("/_simulator/hold", post(hold))
        .route("/_simulator/release", post(release))
}

async fn state(extract::State(calls): extract::State<Calls>) -> Json<State> {
    Json(calls.state())
}

async fn faults(
    extract::State(calls): extract::State<Calls>,
    Json(order): Json<Order>,
) -> StatusCode {
    calls.queue(order.times, order.fault);
    StatusCode::NO_CONTENT
}

async fn hold(extract::State(calls): extract::State<Calls>) -> StatusCode {
    calls.hold();
    StatusCode::NO_CONTENT
}

async fn release(extract::State(calls): extract::State<Calls>) -> StatusCode {
    calls.release();
    StatusCode::NO_CONTENT
}
