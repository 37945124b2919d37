use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use serde_json::{Value, json};

use super::{calls::Calls, error::ApiError};

/// A model on offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub(super) id: &'static str,
    /// The dated name that answers carry: providers do not repeat the alias they were asked for.
    pub(super) snapshot: &'static str,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    /// A chat model that knows `max_completion_tokens` only.
    Reasoning,
    Embedding {
        dimensions: usize,
    },
    Image,
}

const fn model(id: &'static str, snapshot: &'static str, kind: Kind) -> Model {
    Model { id, snapshot, kind }
}

const MODELS: [Model; 14] = [
    model("gpt-4o", "gpt-4o-2024-08-06", Kind::Chat),
    model("gpt-4o-mini", "gpt-4o-mini-2024-07-18", Kind::Chat),
    model("gpt-4.1", "gpt-4.1-2025-04-14", Kind::Chat),
    model("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", Kind::Chat),
    model("gpt-4.1-nano", "gpt-4.1-nano-2025-04-14", Kind::Chat),
    model("gpt-5", "gpt-5-2025-08-07", Kind::Reasoning),
    model("gpt-5-mini", "gpt-5-mini-2025-08-07", Kind::Reasoning),
    model("gpt-5-nano", "gpt-5-nano-2025-08-07", Kind::Reasoning),
    model("o3", "o3-2025-04-16", Kind::Reasoning),
    model("o4-mini", "o4-mini-2025-04-16", Kind::Reasoning),
    model("text-embedding-3-small", "text-embedding-3-small", Kind::Embedding { dimensions: 1536 }),
    model("text-embedding-3-large", "text-embedding-3-large", Kind::Embedding { dimensions: 3072 }),
    model("gpt-image-1", "gpt-image-1", Kind::Image),
    model("gpt-image-1-mini", "gpt-image-1-mini", Kind::Image),
];

impl Model {
    /// The model of this alias or dated name.
    pub(super) fn find(id: &str) -> Result<Self, ApiError> {
        MODELS
            .into_iter()
            .find(|model| model.id == id || model.snapshot == id)
            .ok_or_else(|| ApiError::unknown_model(id))
    }

    fn describe(self) -> Value {
        json!({
            "id": self.id,
            "object": "model",
            "created": 1_715_367_049,
            "owned_by": "system",
        })
    }
}

pub(super) async fn list(
    State(calls): State<Calls>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    calls.look(&headers)?;
    Ok(Json(json!({ "object": "list", "data": MODELS.map(Model::describe) })))
}

pub(super) async fn retrieve(
    State(calls): State<Calls>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    calls.look(&headers)?;
    Ok(Json(Model::find(&id)?.describe()))
}
