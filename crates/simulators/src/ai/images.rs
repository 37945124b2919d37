use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use serde_json::json;

use super::{
    Endpoint, Usage,
    calls::Calls,
    error::{ApiError, Refusal},
    models::{Kind, Model},
    request, tokens,
};
use crate::clock::now;

/// A PNG of one blue pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGOQy78JAAIVAWfnZdaRAAAAAElFTkSuQmCC";

#[derive(Deserialize)]
struct Request {
    model: String,
    prompt: String,
    n: Option<usize>,
    #[serde(default)]
    quality: Quality,
    #[serde(default)]
    size: Size,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Quality {
    Low,
    #[default]
    #[serde(alias = "auto")]
    Medium,
    High,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum Size {
    #[default]
    #[serde(rename = "1024x1024", alias = "auto")]
    Square,
    #[serde(rename = "1024x1536")]
    Portrait,
    #[serde(rename = "1536x1024")]
    Landscape,
}

pub(super) async fn create(
    State(calls): State<Calls>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (call, body) = calls.enter(Endpoint::Images, &headers, &body).await?;
    let request: Request = request::parse(body, &ARGUMENTS)?;
    let model = Model::find(&request.model)?;
    if model.kind != Kind::Image {
        return Err(ApiError::invalid(Some("model"), "This is not an image model.").into());
    }
    let n = request.n.unwrap_or(1);
    if !(1..=10).contains(&n) {
        return Err(ApiError::invalid(Some("n"), "'n' must be between 1 and 10").into());
    }

    let Request { prompt, quality, size, .. } = request;
    let prompt_tokens = tokens::off_thread(move || tokens::count(tokens::of_chat(), &prompt)).await;
    let honest = Usage::new(prompt_tokens, size.tokens(quality) * tokens::to_i64(n));
    let mut body = json!({
        "created": now(),
        "background": "opaque",
        "output_format": "png",
        "quality": quality.name(),
        "size": size.name(),
        "data": vec![json!({ "b64_json": PIXEL }); n],
    });
    if let Some(usage) = call.usage(honest) {
        body["usage"] = usage.of_images();
    }
    call.answer(&body).await
}

impl Quality {
    fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Size {
    fn name(self) -> &'static str {
        match self {
            Self::Square => "1024x1024",
            Self::Portrait => "1024x1536",
            Self::Landscape => "1536x1024",
        }
    }

    /// Output tokens of one image, from OpenAI's table.
    fn tokens(self, quality: Quality) -> i64 {
        match (quality, self) {
            (Quality::Low, Self::Square) => 272,
            (Quality::Low, Self::Portrait) => 408,
            (Quality::Low, Self::Landscape) => 400,
            (Quality::Medium, Self::Square) => 1056,
            (Quality::Medium, Self::Portrait) => 1584,
            (Quality::Medium, Self::Landscape) => 1568,
            (Quality::High, Self::Square) => 4160,
            (Quality::High, Self::Portrait) => 6240,
            (Quality::High, Self::Landscape) => 6208,
        }
    }
}

const ARGUMENTS: [&str; 12] = [
    "background",
    "model",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "prompt",
    "quality",
    "safety_identifier",
    "size",
    "user",
];
