use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::State,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, HOST},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::Value;

use super::{
    action::{Action, Origin},
    error::{self, Error},
    faults::{self, Trouble},
    form::Params,
    idempotency::{self, Recorded},
    routes,
    simulator::Simulator,
    versions,
};

/// A call to the API as it came in.
struct Call {
    method: Method,
    path: String,
    params: Params,
    origin: Origin,
    /// The version the caller speaks.
    version: String,
}

struct Answer {
    status: StatusCode,
    body: Value,
    /// The request that was answered first, when this answer is a repetition.
    original: Option<String>,
}

/// Answers a call to `/v1`.
pub(super) async fn handle(
    State(simulator): State<Arc<Simulator>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request_id = format!("req_{}", Alphanumeric.sample_string(&mut rand::rng(), 14));
    let called = authenticate(&simulator, &headers).and_then(|()| {
        let origin = origin(&method, &headers, &request_id)?;
        let version = version(&headers)?;
        let (query, body) = (uri.query().unwrap_or_default(), String::from_utf8_lossy(&body));
        let params = Params::parse(&format!("{query}&{body}"));
        Ok(Call { method, path: uri.path().to_owned(), params, origin, version })
    });
    let spoken = called.as_ref().map_or(versions::CURRENT, |call| call.version.as_str());
    let spoken = HeaderValue::from_str(spoken);
    let mut response = match called {
        Ok(call) => run(&simulator, call).await.unwrap_or_else(IntoResponse::into_response),
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(version) = spoken {
        headers.insert("stripe-version", version);
    }
    if let Ok(request_id) = request_id.parse() {
        headers.insert("request-id", request_id);
    }
    response
}

fn authenticate(simulator: &Simulator, headers: &HeaderMap) -> Result<(), Error> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, credentials)) = given.and_then(|value| value.split_once(' ')) else {
        return Err(Error::unauthorized("You did not provide an API key."));
    };
    let key = match scheme {
        "Basic" => BASE64_STANDARD.decode(credentials).unwrap_or_default(),
        _ => credentials.as_bytes().to_vec(),
    };
    // Basic carries the key as the user, followed by a colon and an empty password.
    if key.strip_suffix(b":").unwrap_or(&key) == simulator.secret_key.as_bytes() {
        Ok(())
    } else {
        Err(Error::unauthorized("Invalid API Key provided."))
    }
}

/// The version a call asks for.
fn version(headers: &HeaderMap) -> Result<String, Error> {
    let asked = headers.get("stripe-version").and_then(|value| value.to_str().ok());
    let version = asked.unwrap_or(versions::CURRENT);
    versions::check(version, "Stripe-Version")?;
    Ok(version.to_owned())
}

fn origin(method: &Method, headers: &HeaderMap, request_id: &str) -> Result<Origin, Error> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("idempotency-key").filter(|_| method == Method::POST);
    if key.is_some_and(|key| key.is_empty() || key.len() > 255) {
        let message = "Idempotency keys have 1 to 255 characters.";
        return Err(Error::invalid("Idempotency-Key", message));
    }
    Ok(Origin {
        request_id: Some(request_id.to_owned()),
        idempotency_key: key.map(str::to_owned),
        base_url: format!("http://{}", text(HOST.as_str()).unwrap_or("127.0.0.1")),
    })
}

/// Runs a call, with the trouble that was asked for.
async fn run(simulator: &Arc<Simulator>, call: Call) -> Result<Response, Error> {
    let key = call.origin.idempotency_key.as_deref();
    let _claim = key.map(|key| simulator.running.claim(key)).transpose()?;
    let trouble = simulator.trouble(&call.path);
    match trouble {
        Some(Trouble::Status { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return Err(Error::on_request(status));
        }
        Some(Trouble::Reset) => return Ok(faults::reset()),
        Some(Trouble::Garbage) => return Ok(faults::garbage()),
        Some(Trouble::Hang { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
        Some(Trouble::DropAnswer | Trouble::HoldAnswer) | None => {}
    }
    let healed = simulator.healed.notified();
    let version = call.version.clone();
    let mut answer = execute(simulator, call)?;
    versions::show(&mut answer.body, &version);
    if trouble == Some(Trouble::DropAnswer) {
        return Ok(faults::reset());
    }
    if trouble == Some(Trouble::HoldAnswer) {
        simulator.holding.notify_one();
        healed.await;
    }
    let mut response = error::answer(answer.status, &answer.body);
    if let Some(original) = answer.original.and_then(|id| id.parse().ok()) {
        let headers = response.headers_mut();
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        headers.insert("original-request", original);
    }
    Ok(response)
}

/// Does the work of a call, or repeats the answer its idempotency key got before.
fn execute(simulator: &Arc<Simulator>, call: Call) -> Result<Answer, Error> {
    let Call { method, path, params, origin, .. } = call;
    let key = origin.idempotency_key.clone();
    let fingerprint = format!("{method} {path} {}", params.canonical()?);
    simulator.act(origin, |action| {
        let Some(key) = key else {
            let body = routes::dispatch(action, &method, &path, params)?;
            return Ok(Answer { status: StatusCode::OK, body, original: None });
        };
        if let Some(recorded) = idempotency::recall(action.state, &key, &fingerprint, action.now)? {
            let original = Some(recorded.request_id.clone());
            return Ok(Answer { status: recorded.status(), body: recorded.body.clone(), original });
        }
        let (status, body) = match routes::dispatch(action, &method, &path, params) {
            Ok(body) => (StatusCode::OK, body),
            Err(error) if error.came_from_an_endpoint() => (error.status, error.body()),
            Err(error) => return Err(error),
        };
        remember(action, key, fingerprint, status, &body);
        Ok(Answer { status, body, original: None })
    })
}

fn remember(
    action: &mut Action,
    key: String,
    fingerprint: String,
    status: StatusCode,
    body: &Value,
) {
    let recorded = Recorded {
        fingerprint,
        status: status.as_u16(),
        body: body.clone(),
        request_id: action.origin.request_id.clone().unwrap_or_default(),
        at: action.now,
    };
    idempotency::record(action.state, key, recorded);
    action.changed = true;
}
