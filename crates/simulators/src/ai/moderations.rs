use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde_json::{Value, json};

use super::{
    Endpoint,
    calls::Calls,
    error::{ApiError, Refusal},
    unique,
};

/// What a text has that is objected to.
const OBJECTIONABLE: &str = "hurt them";

/// Judges texts, each for itself.
pub(super) async fn create(
    State(calls): State<Calls>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (call, body) = calls.enter(Endpoint::Moderations, &headers, &body).await?;
    let texts = match &body["input"] {
        Value::String(text) => vec![text.as_str()],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => return Err(ApiError::invalid(Some("input"), "'input' is a required property").into()),
    };
    let results: Vec<_> = texts
        .iter()
        .map(|text| {
            let flagged = text.contains(OBJECTIONABLE);
            json!({
                "flagged": flagged,
                "categories": { "harassment": false, "violence": flagged },
                "category_scores": { "harassment": 0.0, "violence": if flagged { 0.9 } else { 0.0 } },
            })
        })
        .collect();
    call.answer(&json!({ "id": unique("modr-"), "model": body["model"], "results": results })).await
}
