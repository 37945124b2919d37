use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kernel::Id;
use quotas::Hold;
use utoipa_axum::routes;
use web::{Access, Caller, Path, Problem, Routes};

use super::number::{after, blocks};
use crate::{Ai, Dialect, anthropic::inbound::messages, chat::INVOKE};

const LAST_EVENT_ID: &str = "last-event-id";

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new().route(Access::to(INVOKE), routes!(join_stream))
}

/// Join a streamed answer again, after its connection was lost: while it is told, and for a minute after.
///
/// `id` is the `X-Slipway-Call` of the answer. Events are numbered from 1, comments and pings not counted; those up
/// to `Last-Event-ID` are left out. Only for who made the call, and on the instance that tells it.
#[utoipa::path(get, path = "/v1/streams/{id}", tag = "ai",
    params(
        ("id" = String, Path, format = Uuid),
        ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that arrived"),
    ),
    responses((status = 200, content((String = "text/event-stream")))))]
async fn join_stream(
    State(ai): State<Ai>,
    caller: Caller,
    Path(call): Path<Id<Hold>>,
    request: HeaderMap,
) -> web::Result<Response> {
    let found = ai.streams.find(call, (&caller).into()).await;
    let recorded = found.ok_or_else(|| {
        let detail = "no stream of yours is told here under this id, or no longer";
        Problem::not_found("stream_not_found", detail)
            .action("Ask again; with an Idempotency-Key nothing is charged twice.")
    })?;
    let seen = match request.get(LAST_EVENT_ID) {
        None => 0,
        Some(id) => id.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
            Problem::bad_request("invalid_header", "Last-Event-ID must be the number of an event")
        })?,
    };
    let (dialect, headers) = (recorded.dialect, recorded.headers.clone());
    let told = recorded.tell();
    let body = match dialect {
        Dialect::OpenAi => Body::from_stream(after(seen, told)),
        Dialect::Anthropic => {
            let body = Body::from_stream(told.map(Ok::<_, std::convert::Infallible>));
            Body::from_stream(after(seen, blocks(messages(body.into_response()).into_body())))
        }
    };
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    Ok((kind, headers, body).into_response())
}
