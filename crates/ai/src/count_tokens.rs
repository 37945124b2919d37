use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use usage::{Model, Quantities};
use utoipa::ToSchema;
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Json, Problem, RawJson, Routes};

use crate::{
    Ai, Dialect,
    answer::read,
    anthropic::inbound::MessagesRequest,
    asked::Context,
    chat::{BODY_LIMIT, CHAT, INVOKE},
    error::ProviderError,
    messages::MessagesError,
    payload::Payload,
    usage_report::estimate_tokens,
};

/// Where Anthropic counts, below the base URL; it charges nothing for it.
const COUNT: &str = "/messages/count_tokens";
/// No count is longer.
const LARGEST: usize = 64 * 1024;
/// The tokens of an image of a usual size, for want of a count.
const TOKENS_PER_IMAGE: i64 = 1_000;

pub(crate) fn routes() -> Routes<Ai> {
    let count = routes!(count_tokens).layer(DefaultBodyLimit::max(BODY_LIMIT));
    Routes::new().route(Access::to(INVOKE), count)
}

/// How many tokens a prompt has.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct TokenCount {
    input_tokens: i64,
}

/// Count the tokens of a prompt, as Anthropic's API: nothing is asked of the model, and nothing charged.
///
/// The request is that of a message without `max_tokens`. Models of Anthropic are counted by it. Of any
/// other the answer is an estimate: a token for four bytes, a thousand for an image.
#[utoipa::path(
    post, path = "/v1/messages/count_tokens", tag = "ai",
    request_body = Object, responses((status = 200, body = TokenCount))
)]
async fn count_tokens(
    State(ai): State<Ai>,
    context: Context,
    body: RawJson,
) -> Result<Json<TokenCount>, MessagesError> {
    let request = prompt(&body)?;
    let caching = request.check()?;
    ai.controls.of(context.by.org).await?.check()?;
    let (name, bytes) = (&request.model, body.0.len());
    let nothing = |_: &Model| Ok(Quantities::default());
    let candidates = ai.candidates(&context, CHAT, name, &body.0, nothing).await?;
    for candidate in candidates {
        let provider = ai.providers().get(&candidate.model.provider);
        let Some(provider) = provider.filter(|it| it.dialect == Dialect::Anthropic) else {
            continue;
        };
        let payload = Payload { dialect: Dialect::Anthropic, json: body.0, limit: None, caching };
        let mut sent = payload.addressed_to(&candidate.model, Dialect::Anthropic, CHAT)?;
        sent.path = COUNT;
        let answer = provider.post(&candidate.model.name, &sent).await.map_err(Problem::from)?;
        let body = read(answer, LARGEST, ai.idle).await.map_err(unreadable)?;
        return Ok(Json(serde_json::from_slice(&body).map_err(|it| unreadable(it.to_string()))?));
    }
    let (text, images) = request.size(bytes);
    Ok(Json(TokenCount { input_tokens: estimate_tokens(text) + TOKENS_PER_IMAGE * images }))
}

/// The request of a message that a count is asked for.
fn prompt(body: &RawJson) -> Result<MessagesRequest, Problem> {
    let mut request: Map<String, Value> = body.parse()?;
    if request.contains_key("max_tokens") {
        let detail = "is no part of what is counted";
        return Err(Problem::invalid_field("/max_tokens", detail).action("Leave it out."));
    }
    request.insert("max_tokens".to_owned(), 1.into());
    let request = serde_json::to_vec(&request).map_err(Problem::internal)?;
    RawJson(request.into()).parse()
}

fn unreadable(reason: String) -> Problem {
    tracing::warn!(reason, "a provider's count could not be read");
    ProviderError::unavailable("its count cannot be read", Duration::ZERO).into()
}
