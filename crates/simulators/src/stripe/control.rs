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
    action::{Action, Origin},
    disputes::{self, Verdict},
    dunning::Dunning,
    error::{Error, answer},
    payment_methods::{self, Card},
    refunds,
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
        .route("/_simulator/card", post(set_card))
        .route("/_simulator/disputes", post(dispute))
        .route("/_simulator/dunning", post(set_dunning))
        .route("/_simulator/live", post(live))
        .route("/_simulator/refunds", post(turn_refund))
        .route("/_simulator/verdicts", post(decide))
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCard {
    customer: String,
    #[serde(default)]
    card: Card,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterLastAttempt {
    dunning: Dunning,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Until {
    until: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    refund: String,
    /// Absent: the bank sends it back. `true`: it waits for the customer, `false`: it goes on.
    waits: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    dispute: String,
    verdict: Verdict,
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

async fn set_card(State(simulator): Shared, body: Bytes) -> Answered {
    let NewCard { customer, card } = read(&body)?;
    let replace = |action: &mut Action| payment_methods::replace(action, &customer, card);
    Ok(ok(&simulator.act(Origin::default(), replace)?))
}

async fn dispute(State(simulator): Shared, body: Bytes) -> Answered {
    let complaint = read(&body)?;
    let open = |action: &mut Action| disputes::open(action, &complaint);
    Ok(ok(&simulator.act(Origin::default(), open)?))
}

async fn decide(State(simulator): Shared, body: Bytes) -> Answered {
    let Decision { dispute, verdict } = read(&body)?;
    let decide = |action: &mut Action| disputes::decide(action, &dispute, verdict);
    Ok(ok(&simulator.act(Origin::default(), decide)?))
}

async fn turn_refund(State(simulator): Shared, body: Bytes) -> Answered {
    let Turn { refund, waits } = read(&body)?;
    let turn = |action: &mut Action| match waits {
        Some(waits) => refunds::wait(action, &refund, waits),
        None => refunds::fail(action, &refund),
    };
    Ok(ok(&simulator.act(Origin::default(), turn)?))
}

async fn set_dunning(State(simulator): Shared, body: Bytes) -> Answered {
    let AfterLastAttempt { dunning } = read(&body)?;
    simulator.state().dunning = dunning;
    Ok(done())
}

async fn live(State(simulator): Shared, body: Bytes) -> Answered {
    let Until { until } = read(&body)?;
    simulator.live_until(until)?;
    Ok(done())
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
