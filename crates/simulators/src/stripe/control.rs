use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    action::Origin,
    error::{Error, answer},
    payments::Card,
    simulator::Simulator,
    subscriptions,
};

type Shared = State<Arc<Simulator>>;
type Answered = Result<Response, Error>;

/// What a person or a test may do to the simulator over HTTP, each with a JSON body.
pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/_simulator/state", get(state))
        .route("/_simulator/faults", post(add_fault).delete(clear_faults))
        .route("/_simulator/delivery", post(set_delivery))
        .route("/_simulator/clock", post(set_clock))
        .route("/_simulator/webhook", post(set_webhook))
        .route("/_simulator/deliver", post(deliver))
        .route("/_simulator/settle", post(settle))
        .route("/_simulator/advance", post(advance))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    now: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redelivery {
    event: String,
    #[serde(default = "once")]
    times: usize,
    #[serde(default)]
    parallel: bool,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    subscription: String,
    #[serde(default)]
    card: Card,
}

async fn state(State(simulator): Shared) -> Answered {
    Ok(ok(&simulator.dump()?))
}

async fn add_fault(State(simulator): Shared, body: Bytes) -> Answered {
    simulator.add_fault(read(&body)?);
    Ok(done())
}

async fn clear_faults(State(simulator): Shared) -> Response {
    simulator.clear_faults();
    done()
}

async fn set_delivery(State(simulator): Shared, body: Bytes) -> Answered {
    simulator.set_delivery(read(&body)?);
    Ok(done())
}

async fn set_webhook(State(simulator): Shared, body: Bytes) -> Answered {
    let Webhook { url } = read(&body)?;
    simulator.set_webhook(url);
    Ok(done())
}

async fn set_clock(State(simulator): Shared, body: Bytes) -> Answered {
    let Clock { now } = read(&body)?;
    simulator.set_now(now);
    Ok(done())
}

async fn deliver(State(simulator): Shared, body: Bytes) -> Answered {
    let Redelivery { event, times, parallel } = read(&body)?;
    let attempts = simulator.redeliver(&event, times, parallel).await?;
    Ok(ok(&json!({ "attempts": attempts })))
}

async fn settle(State(simulator): Shared) -> Response {
    simulator.settled().await;
    done()
}

async fn advance(State(simulator): Shared, body: Bytes) -> Answered {
    let Advance { subscription, card } = read(&body)?;
    let advanced = simulator
        .act(Origin::default(), |action| subscriptions::advance(action, &subscription, card))?;
    Ok(ok(&advanced))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::invalid("body", error.to_string()))
}

fn ok(body: &Value) -> Response {
    answer(StatusCode::OK, body)
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
