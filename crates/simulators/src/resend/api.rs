use std::io;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::stream;
use serde_json::{Value, json};

use super::{
    Fault, Mail,
    refusal::Refusal,
    store::{Known, Request, Store},
};

pub(super) fn routes() -> Router<Store> {
    Router::new()
        .route("/emails", post(send))
        .route("/emails/{id}", get(show))
        .route("/domains", get(domains))
}

async fn domains(headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    authorize(&headers)?;
    Ok(Json(json!({ "object": "list", "data": [] })))
}

async fn show(
    State(store): State<Store>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Mail>, Refusal> {
    authorize(&headers)?;
    let not_found = Refusal::new(StatusCode::NOT_FOUND, "not_found", "Email not found");
    store.mail(&id).map(Json).ok_or(not_found)
}

async fn send(
    State(store): State<Store>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let fault = store.arrive(key);
    match fault {
        Some(Fault::Busy { retry_after }) => return Err(Refusal::busy(retry_after)),
        Some(Fault::Status { status }) => return Err(Refusal::of_status(status)),
        Some(Fault::Reset) => return Ok(cut()),
        _ => {}
    }
    authorize(&headers)?;
    let id = take(&store, key, &body)?;
    match fault {
        Some(Fault::DropAnswer) => Ok(cut()),
        Some(Fault::Garbage) => Ok("<html>upstream connect error</html>".into_response()),
        Some(Fault::Endless) => {
            let spaces = stream::repeat_with(|| Ok::<_, io::Error>(" ".repeat(4096)));
            Ok(Body::from_stream(spaces).into_response())
        }
        Some(Fault::Hang) => {
            store.released().await;
            Ok(Json(json!({ "id": id })).into_response())
        }
        _ => Ok(Json(json!({ "id": id })).into_response()),
    }
}

/// Takes the mail, or finds out that it was taken before.
fn take(store: &Store, key: Option<&str>, body: &[u8]) -> Result<String, Refusal> {
    let asked: Value = serde_json::from_slice(body)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "validation_error", "Invalid JSON"))?;
    if let Some(key) = key {
        if !(1..=256).contains(&key.len()) {
            let message = "The key must be between 1 and 256 characters.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", message));
        }
        match store.known(key, &asked) {
            Known::New => {}
            Known::Done(id) => return Ok(id),
            Known::Other => {
                let message = "This key has been used with another request.";
                let (status, name) = (StatusCode::CONFLICT, "invalid_idempotent_request");
                return Err(Refusal::new(status, name, message));
            }
        }
    }
    let request: Request = serde_json::from_value(asked.clone())
        .map_err(|_| Refusal::validation("A field is missing or unknown."))?;
    check(&request)?;
    Ok(store.take(key, asked, request))
}

fn check(request: &Request) -> Result<(), Refusal> {
    if !(1..=50).contains(&request.to.len()) || !request.to.iter().all(|to| to.contains('@')) {
        return Err(Refusal::validation("Invalid `to` field."));
    }
    if !request.from.contains('@') {
        return Err(Refusal::validation("Invalid `from` field."));
    }
    if request.html.is_none() && request.text.is_none() {
        return Err(Refusal::validation("Missing `html` or `text` field."));
    }
    let plain = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        (1..=256).contains(&text.len()) && text.chars().all(plain)
    };
    if !request.tags.iter().all(|tag| plain(&tag.name) && plain(&tag.value)) {
        let message = "Tags should only contain ASCII letters, numbers, underscores, or dashes.";
        return Err(Refusal::validation(message));
    }
    let breaks = |(name, value): (&String, &String)| (name.clone() + value).contains(['\r', '\n']);
    if request.subject.contains(['\r', '\n']) || request.headers.iter().any(breaks) {
        return Err(Refusal::validation("The `\\n` is not allowed in a header."));
    }
    Ok(())
}

fn authorize(headers: &HeaderMap) -> Result<(), Refusal> {
    let key = headers.get("authorization").and_then(|key| key.to_str().ok());
    let key = key.and_then(|key| key.strip_prefix("Bearer "));
    match key {
        Some(key) if key.starts_with("re_") => Ok(()),
        Some(_) => Err(Refusal::of_status(403)),
        None => Err(Refusal::of_status(401)),
    }
}

/// A response that closes the connection before a byte of it is sent.
fn cut() -> Response {
    let failure = io::Error::from(io::ErrorKind::ConnectionReset);
    let body = stream::once(async { Err::<String, _>(failure) });
    Response::new(Body::from_stream(body))
}
