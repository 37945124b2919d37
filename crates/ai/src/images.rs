use axum::{Extension, extract::State, response::IntoResponse};
use serde::Deserialize;
use usage::{ModelKind, Quantities};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, RateClass, RawJson, RequestId, Routes};

use crate::{
    Ai,
    asked::{Asked, Candidate, Operation},
    chat::INVOKE,
    error::ApiResult,
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
    request_body = ImageRequest, responses((status = 200, body = Object))
)]
async fn create_image(
    State(ai): State<Ai>,
    caller: Caller,
    request_id: Option<Extension<RequestId>>,
    body: RawJson,
) -> ApiResult {
    let request: ImageRequest = body.parse()?;
    refuse_unknown(&body.0, PASSED_ON)?;
    let images = within("/n", request.n.unwrap_or(1), 10)?;
    let model = ai.model(&request.model, IMAGE).await?;
    // The prompt counts too; no text has more tokens than bytes.
    let input_tokens = i64::try_from(body.0.len()).unwrap_or(i64::MAX);
    let at_most = Quantities { images, input_tokens, ..Quantities::default() };
    let candidates = vec![Candidate { model, at_most }];
    let payload = Payload { json: body.0, limit: None };
    let asked = Asked::new(&caller, IMAGE, candidates, payload, request_id)?;
    Ok(ai.complete(asked).await?.into_response())
}
