use axum::{
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use usage::Model;
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Problem, RateClass, RawJson, Routes};

use crate::{
    Ai, Dialect,
    anthropic::inbound::{MessagesRequest, message, messages},
    asked::{Asked, Context},
    chat::{BODY_LIMIT, CHAT, INVOKE},
    payload::{Limit, Payload},
    stream,
};

pub(crate) fn routes() -> Routes<Ai> {
    let messages = routes!(create_message).layer(DefaultBodyLimit::max(BODY_LIMIT));
    Routes::new().route(Access::to(INVOKE).limited_as(RateClass::Chat), messages)
}

/// A message, as Anthropic's API: whole as JSON, or with `"stream": true` as server-sent events.
///
/// Any chat model can be asked. The API key may be sent as `x-api-key`.
#[utoipa::path(
    post, path = "/v1/messages", tag = "ai",
    request_body = MessagesRequest,
    responses((status = 200, content((Object = "application/json"), (String = "text/event-stream"))))
)]
async fn create_message(
    State(ai): State<Ai>,
    context: Context,
    body: RawJson,
) -> Result<Response, MessagesError> {
    let request: MessagesRequest = body.parse()?;
    let caching = request.check()?;
    let used = request.at_most(body.0.len())?;
    let name = &request.model;
    let at_most = |model: &Model| ai.cached_at_most(caching, used, model);
    let candidates = ai.candidates(&context, CHAT, name, &body.0, at_most).await?;
    let (tokens, streamed) = (Some(request.max_tokens), request.stream);
    let limit = Limit { tokens, old_name: false, streamed };
    let payload =
        Payload { dialect: Dialect::Anthropic, json: body.0, limit: Some(limit), caching };
    let asked = Asked::new(context, CHAT, candidates, payload)?;
    if streamed {
        // The usage is the end of a message, always.
        return Ok(messages(stream::answer(&ai, asked, true).await?));
    }
    let mut completed = ai.complete(asked).await?;
    completed.body = message(&completed.body).ok_or_else(untranslatable)?;
    Ok(completed.into_response())
}

fn untranslatable() -> Problem {
    let detail = "the AI provider's answer cannot be put into this API's words";
    Problem::new(StatusCode::BAD_GATEWAY, "ai_answer_untranslatable", detail)
        .action("Ask by POST /v1/chat/completions.")
}

/// A problem that is also an error of Anthropic's API, so that its SDKs show the reason.
#[derive(Debug)]
pub(crate) struct MessagesError(Problem);

impl<E: Into<Problem>> From<E> for MessagesError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for MessagesError {
    fn into_response(self) -> Response {
        carrying_error(self.0).into_response()
    }
}

/// The problem with the members that Anthropic's clients look for.
pub(crate) fn carrying_error(problem: Problem) -> Problem {
    let kind = match problem.status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let error = json!({ "type": kind, "message": problem.detail });
    problem.with("type", "error").with("error", error)
}
