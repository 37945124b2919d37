//! Anthropic's side: the Messages API, whole and streamed, with its own errors and counts.

mod error;
mod message;
mod request;
mod stream;

use axum::{
    Json, Router, body::Bytes, extract::State, http::HeaderMap, middleware, response::Response,
    routing::post,
};
use serde_json::{Value, json};

use self::{message::Message, request::MessagesRequest};
use super::{
    Endpoint, Usage,
    calls::Calls,
    error::{ApiError, Refusal},
    stream::respond,
    tokens,
};

pub(super) fn routes() -> Router<Calls> {
    Router::new()
        .route("/v1/messages", post(create))
        .route("/v1/messages/count_tokens", post(count))
        .layer(middleware::map_response(error::reshape))
}

async fn create(
    State(calls): State<Calls>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (call, body) = calls.enter(Endpoint::Messages, &headers, &body).await?;
    check_version(&headers)?;
    let request = MessagesRequest::parse(body)?;
    let cached = request.prefix().is_some_and(|prefix| calls.remember(prefix));
    let message = tokens::off_thread(move || Message::to(request, cached, tokens::of_chat())).await;
    // Anthropic always tells what was used.
    let usage = call.usage(message.usage).unwrap_or(Usage::new(0, 0));
    if message.streams {
        return Ok(respond(call, stream::frames(&message, usage)));
    }
    call.answer(&message.body(usage)).await
}

async fn count(
    State(calls): State<Calls>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    calls.look(&headers)?;
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    body["max_tokens"] = 1.into();
    let request = MessagesRequest::parse(body)?;
    let tokens = tokens::off_thread(move || request.tokens(tokens::of_chat())).await;
    Ok(Json(json!({ "input_tokens": tokens })))
}

fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.get("anthropic-version").is_some_and(|version| version == "2023-06-01") {
        return Ok(());
    }
    Err(ApiError::invalid(None, "anthropic-version: header is required"))
}
