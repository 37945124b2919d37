use axum::{
    extract::{DefaultBodyLimit, State},
    response::IntoResponse,
};
use serde::Deserialize;
use usage::{ModelKind, Quantities};
use utoipa::ToSchema;
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Problem, RateClass, RawJson, Routes};

use crate::{
    Ai, Dialect,
    asked::{Asked, Context, Operation},
    caching::Caching,
    chat::{BODY_LIMIT, INVOKE},
    error::ApiResult,
    generations::{Generation, Prefer, accept},
    payload::{Payload, refuse_unknown},
};

const EMBED: Operation =
    Operation { name: "embedding", path: "/embeddings", kind: ModelKind::Embedding };

/// Parameters that do not change what a token costs.
const PASSED_ON: &[&str] = &["dimensions", "encoding_format", "input", "model", "user"];

pub(crate) fn routes() -> Routes<Ai> {
    let embed = routes!(create_embedding).layer(DefaultBodyLimit::max(BODY_LIMIT));
    Routes::new().route(Access::to(INVOKE).limited_as(RateClass::Generation), embed)
}

/// The part of an embedding request that decides what it can cost.
#[derive(Debug, Deserialize, ToSchema)]
struct EmbeddingRequest {
    /// A model of `GET /v1/models`.
    #[schema(example = "text-embedding-3-small")]
    model: String,
    /// A text, or several, as `OpenAI` documents it.
    #[serde(rename = "input")]
    #[schema(value_type = Value)]
    _input: serde::de::IgnoredAny,
}

/// Embedding vectors, as `OpenAI`'s API.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "ai",
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: make it later, answer 202")),
    request_body = EmbeddingRequest,
    responses((status = 200, body = Object), (status = 202, body = Generation))
)]
async fn create_embedding(
    State(ai): State<Ai>,
    context: Context,
    prefer: Prefer,
    body: RawJson,
) -> ApiResult {
    let by = context.by;
    let asked = ask(&ai, context, body.clone()).await?;
    if prefer.respond_async {
        return accept(&ai, by, EMBED.name, &body).await;
    }
    Ok(ai.complete(asked).await?.into_response())
}

/// Understands a request, as far as its cost is concerned.
pub(crate) async fn ask(ai: &Ai, context: Context, body: RawJson) -> Result<Asked, Problem> {
    let request: EmbeddingRequest = body.parse()?;
    refuse_unknown(&body.0, PASSED_ON)?;
    // No text has more tokens than bytes.
    let input_tokens = i64::try_from(body.0.len()).unwrap_or(i64::MAX);
    let at_most = Quantities { input_tokens, ..Quantities::default() };
    let name = &request.model;
    let candidates = ai.candidates(&context, EMBED, name, &body.0, |_| Ok(at_most)).await?;
    let payload =
        Payload { dialect: Dialect::OpenAi, json: body.0, limit: None, caching: Caching::None };
    Asked::new(context, EMBED, candidates, payload)
}
