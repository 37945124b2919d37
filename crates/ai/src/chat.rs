use axum::{
    Extension,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{IntoResponse, Response},
};
use usage::ModelKind;
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Caller, Permission, RateClass, RawJson, RequestId, Routes};

use crate::{
    Ai,
    error::ApiResult,
    gateway::{Asked, Operation},
    request::{Chat, ChatRequest},
    stream,
};

pub(crate) const INVOKE: Permission = Permission::write("ai:invoke");

/// Prompts may carry images.
pub(crate) const BODY_LIMIT: usize = 20 * 1024 * 1024;

const CHAT: Operation =
    Operation { name: "chat", path: "/chat/completions", kind: ModelKind::Chat };

pub(crate) fn routes() -> Routes<Ai> {
    let chat = routes!(create_chat_completion).layer(DefaultBodyLimit::max(BODY_LIMIT));
    Routes::new().route(Access::to(INVOKE).limited_as(RateClass::Chat), chat)
}

/// A chat completion, as `OpenAI`'s API: whole as JSON, or with `"stream": true` as server-sent events.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "ai",
    request_body = ChatRequest,
    responses((status = 200, content((Object = "application/json"), (String = "text/event-stream"))))
)]
async fn create_chat_completion(
    State(ai): State<Ai>,
    caller: Caller,
    request_id: Option<Extension<RequestId>>,
    body: RawJson,
) -> ApiResult {
    let chat = Chat::read(&body)?;
    let model = ai.model(&chat.request.model, CHAT).await?;
    let (at_most, streamed, wants_usage) =
        (chat.at_most(&model)?, chat.is_stream(), chat.wants_usage());
    let body = chat.into_body(&model)?;
    let asked = Asked::new(&caller, CHAT, model, at_most, request_id, body);
    if streamed {
        Ok(stream::answer(&ai, asked, wants_usage).await?)
    } else {
        Ok(json_answer(ai.complete(asked).await?))
    }
}

/// A provider's answer, passed on as it came.
pub(crate) fn json_answer(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
