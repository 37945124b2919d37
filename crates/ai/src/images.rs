use axum::{Extension, extract::State};
use serde::Deserialize;
use usage::{ModelKind, Quantities};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, RateClass, RawJson, RequestId, Routes};

use crate::{
    Ai,
    chat::{INVOKE, json_answer},
    error::ApiResult,
    gateway::{Asked, Operation},
    request::within,
};

const IMAGE: Operation =
    Operation { name: "image", path: "/images/generations", kind: ModelKind::Image };

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
    let images = within("/n", request.n.unwrap_or(1), 10)?;
    let model = ai.model(&request.model, IMAGE).await?;
    let at_most = Quantities { images, ..Quantities::default() };
    let asked = Asked::new(&caller, IMAGE, model, at_most, request_id, body.0);
    Ok(json_answer(ai.complete(asked).await?))
}
