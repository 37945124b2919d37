use axum::{
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{IntoResponse, Response},
};
use usage::{Model, ModelKind};
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Permission, Problem, RateClass, RawJson, Routes};

use crate::{
    Ai,
    asked::{Asked, Context, Operation},
    error::ApiResult,
    gateway::Completed,
    generations::{Generation, Prefer, accept},
    request::{Chat, ChatRequest},
    stream,
    uploaded::with_uploads,
};

pub(crate) const INVOKE: Permission = Permission::write("ai:invoke");

/// Prompts may carry images.
pub(crate) const BODY_LIMIT: usize = 20 * 1024 * 1024;

pub(crate) const CHAT: Operation =
    Operation { name: "chat", path: "/chat/completions", kind: ModelKind::Chat };

pub(crate) fn routes() -> Routes<Ai> {
    let chat = routes!(create_chat_completion).layer(DefaultBodyLimit::max(BODY_LIMIT));
    Routes::new().route(Access::to(INVOKE).limited_as(RateClass::Chat), chat)
}

/// A chat completion, as `OpenAI`'s API: whole as JSON, or with `"stream": true` as server-sent events.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "ai",
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: make it later, answer 202")),
    request_body = ChatRequest,
    responses(
        (status = 200, content((Object = "application/json"), (String = "text/event-stream"))),
        (status = 202, body = Generation),
    )
)]
async fn create_chat_completion(
    State(ai): State<Ai>,
    context: Context,
    prefer: Prefer,
    body: RawJson,
) -> ApiResult {
    let by = context.by;
    let (asked, streaming) = ask(&ai, context, body.clone()).await?;
    match streaming {
        Some(_) if prefer.respond_async => {
            let detail = "must not be set for an answer that nobody waits for";
            Err(Problem::invalid_field("/stream", detail).into())
        }
        None if prefer.respond_async => accept(&ai, by, CHAT.name, &body).await,
        Some(Streaming { wants_usage }) => Ok(stream::answer(&ai, asked, wants_usage).await?),
        None => Ok(ai.complete(asked).await?.into_response()),
    }
}

/// How an answer is to be streamed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streaming {
    /// Whether the client asked for the chunk with the usage.
    wants_usage: bool,
}

/// Understands a request, as far as its cost is concerned, and whether it is to be streamed.
pub(crate) async fn ask(
    ai: &Ai,
    context: Context,
    body: RawJson,
) -> Result<(Asked, Option<Streaming>), Problem> {
    let written = body.0.clone();
    let chat = Chat::read(with_uploads(ai, context.by.org, body).await?)?;
    let at_most = |model: &Model| ai.cached_at_most(chat.caching, chat.at_most(model)?, model);
    let name = &chat.request.model;
    let candidates = ai.candidates(&context, CHAT, name, &written, at_most).await?;
    let streaming = chat.is_stream().then(|| Streaming { wants_usage: chat.wants_usage() });
    Ok((Asked::new(context, CHAT, candidates, chat.into_payload()?)?, streaming))
}

impl IntoResponse for Completed {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, self.told.headers(), self.body).into_response()
    }
}
