use axum::{
    Extension,
    extract::{DefaultBodyLimit, State},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use usage::ModelKind;
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Caller, Permission, RateClass, RawJson, RequestId, Routes};

use crate::{
    Ai,
    asked::{Asked, Candidate, Operation},
    error::ApiResult,
    gateway::{Completed, Server},
    request::{Chat, ChatRequest},
    stream,
};

pub(crate) const INVOKE: Permission = Permission::write("ai:invoke");

/// Prompts may carry images.
pub(crate) const BODY_LIMIT: usize = 20 * 1024 * 1024;

const MODEL: HeaderName = HeaderName::from_static("x-slipway-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-slipway-provider");
const COST: HeaderName = HeaderName::from_static("x-slipway-cost-nano-usd");
const CREDITS: HeaderName = HeaderName::from_static("x-slipway-credits");

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
    let chat = Chat::read(body)?;
    let model = ai.model(&chat.request.model, CHAT).await?;
    let candidates = vec![Candidate { at_most: chat.at_most(&model)?, model }];
    let (streamed, wants_usage) = (chat.is_stream(), chat.wants_usage());
    let asked = Asked::new(&caller, CHAT, candidates, chat.into_payload()?, request_id)?;
    if streamed {
        Ok(stream::answer(&ai, asked, wants_usage).await?)
    } else {
        Ok(ai.complete(asked).await?.into_response())
    }
}

impl IntoResponse for Completed {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let cost =
            [(COST, self.booked.cost.0.to_string()), (CREDITS, self.booked.credits.to_string())];
        (json, self.server.headers(), cost, self.body).into_response()
    }
}

impl Server {
    /// Tell the client who serves it.
    pub(crate) fn headers(&self) -> [(HeaderName, String); 2] {
        [(MODEL, self.model.clone()), (PROVIDER, self.provider.clone())]
    }
}
