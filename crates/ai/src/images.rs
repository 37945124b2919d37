use axum::{extract::State, response::IntoResponse};
use serde::Deserialize;
use usage::{Model, ModelKind, Quantities};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Problem, RateClass, RawJson, Routes};

use crate::{
    Ai, Dialect,
    asked::{Asked, Context, Operation},
    caching::Caching,
    chat::INVOKE,
    error::ApiResult,
    generations::{Generation, Prefer, accept},
    payload::{Payload, refuse_unknown},
    request::within,
};

const IMAGE: Operation =
    Operation { name: "image", path: "/images/generations", kind: ModelKind::Image };

/// Parameters that the price of an image covers. A stream of partial images would cost more.
const PASSED_ON: &[&str] = &[
    "background",
    "model",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "prompt",
    "quality",
    "response_format",
    "safety_identifier",
    "size",
    "style",
    "user",
];

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new().route(Access::to(INVOKE).limited_as(RateClass::Generation), routes!(create_image))
}

/// The part of an image request that decides what it can cost.
#[derive(Debug, Deserialize, ToSchema)]
struct ImageRequest {
    /// A model of `GET /v1/models`.
    #[schema(example = "gpt-image-1")]
    model: String,
    /// How many images.
    #[schema(minimum = 1, maximum = 10)]
    n: Option<i64>,
    /// What they should show.
    #[serde(rename = "prompt")]
    #[schema(value_type = String)]
    _prompt: serde::de::IgnoredAny,
}

/// Generated images, as `OpenAI`'s API.
#[utoipa::path(
    post, path = "/v1/images/generations", tag = "ai",
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: make it later, answer 202")),
    request_body = ImageRequest,
    responses((status = 200, body = Object), (status = 202, body = Generation))
)]
async fn create_image(
    State(ai): State<Ai>,
    context: Context,
    prefer: Prefer,
    body: RawJson,
) -> ApiResult {
    let by = context.by;
    let asked = ask(&ai, context, body.clone()).await?;
    if prefer.respond_async {
        return accept(&ai, by, IMAGE.name, &body).await;
    }
    Ok(ai.complete(asked).await?.into_response())
}

/// Understands a request, as far as its cost is concerned.
pub(crate) async fn ask(ai: &Ai, context: Context, body: RawJson) -> Result<Asked, Problem> {
    let request: ImageRequest = body.parse()?;
    refuse_unknown(&body.0, PASSED_ON)?;
    let images = within("/n", request.n.unwrap_or(1), 10)?;
    // The prompt counts too; no text has more tokens than bytes.
    let input_tokens = i64::try_from(body.0.len()).unwrap_or(i64::MAX);
    let at_most = |model: &Model| {
        let output_tokens = images.saturating_mul(model.max_output_tokens);
        Ok(Quantities { images, input_tokens, output_tokens, ..Quantities::default() })
    };
    let candidates = ai.candidates(&context, IMAGE, &request.model, &body.0, at_most).await?;
    let payload =
        Payload { dialect: Dialect::OpenAi, json: body.0, limit: None, caching: Caching::None };
    Asked::new(context, IMAGE, candidates, payload)
}
