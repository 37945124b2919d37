use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Endpoint, Usage,
    calls::Calls,
    error::{ApiError, Refusal},
    models::{Kind, Model},
    request, tokens,
};

#[derive(Deserialize)]
struct Request {
    model: String,
    input: Input,
    dimensions: Option<usize>,
    encoding_format: Option<Encoding>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Float,
    Base64,
}

/// One thing to embed, as text or already cut into tokens.
enum Item {
    Text(String),
    Tokens(Vec<u32>),
}

pub(super) async fn create(
    State(calls): State<Calls>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (call, body) = calls.enter(Endpoint::Embeddings, &headers, &body).await?;
    let (mut body, honest) = tokens::off_thread(move || embed(body)).await?;
    if let Some(usage) = call.usage(honest) {
        body["usage"] = usage.of_embeddings();
    }
    call.answer(&body).await
}

/// The answer to a call that came in a batch.
pub(super) fn in_batch(body: Value, tells_usage: bool) -> Result<Value, ApiError> {
    let (mut body, usage) = embed(body)?;
    if tells_usage {
        body["usage"] = usage.of_embeddings();
    }
    Ok(body)
}

fn embed(body: Value) -> Result<(Value, Usage), ApiError> {
    const ARGUMENTS: [&str; 5] = ["dimensions", "encoding_format", "input", "model", "user"];
    let request: Request = request::parse(body, &ARGUMENTS)?;
    let model = Model::find(&request.model)?;
    let dimensions = dimensions(model, request.dimensions)?;
    let items = items(request.input)?;
    let encoding = request.encoding_format.unwrap_or(Encoding::Float);
    let data = items.iter().enumerate().map(|(index, item)| {
        let embedding = encoding.encode(&item.vector(dimensions));
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let data: Value = data.collect();
    let usage = Usage::new(items.iter().map(Item::count).sum(), 0);
    Ok((json!({ "object": "list", "data": data, "model": model.snapshot }), usage))
}

fn dimensions(model: Model, wanted: Option<usize>) -> Result<usize, ApiError> {
    let Kind::Embedding { dimensions } = model.kind else {
        return Err(ApiError::invalid(Some("model"), "This is not an embedding model."));
    };
    match wanted {
        None => Ok(dimensions),
        Some(wanted) if (1..=dimensions).contains(&wanted) => Ok(wanted),
        Some(_) => Err(ApiError::invalid(Some("dimensions"), "Invalid value for 'dimensions'.")),
    }
}

fn items(input: Input) -> Result<Vec<Item>, ApiError> {
    const MOST: usize = 2048;
    let items: Vec<Item> = match input {
        Input::Text(text) => vec![Item::Text(text)],
        Input::Texts(texts) => texts.into_iter().map(Item::Text).collect(),
        Input::Tokens(tokens) => vec![Item::Tokens(tokens)],
        Input::TokenLists(lists) => lists.into_iter().map(Item::Tokens).collect(),
    };
    if !(1..=MOST).contains(&items.len()) || items.iter().any(Item::is_empty) {
        return Err(ApiError::invalid(Some("input"), "'$.input' is invalid."));
    }
    Ok(items)
}

impl Item {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Tokens(tokens) => tokens.is_empty(),
        }
    }

    fn count(&self) -> i64 {
        match self {
            Self::Text(text) => tokens::count(tokens::of_embeddings(), text),
            Self::Tokens(tokens) => tokens::to_i64(tokens.len()),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Tokens(tokens) => tokens.iter().flat_map(|token| token.to_le_bytes()).collect(),
        }
    }

    /// A vector of length one that only this item has.
    fn vector(&self, dimensions: usize) -> Vec<f32> {
        let seed = self.bytes();
        let mut vector = Vec::with_capacity(dimensions);
        for block in 0_u64.. {
            let hash =
                Sha256::new().chain_update(&seed).chain_update(block.to_le_bytes()).finalize();
            vector.extend(hash.iter().map(|byte| f32::from(*byte) - 127.5));
            if vector.len() >= dimensions {
                break;
            }
        }
        vector.truncate(dimensions);
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter().map(|x| x / length).collect()
    }
}

impl Encoding {
    fn encode(self, vector: &[f32]) -> Value {
        match self {
            Self::Float => json!(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                json!(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}
