use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, header},
    routing::{get, post},
};
use multer::Multipart;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    BatchFault, Lane,
    batch::{Batch, NewBatch},
};
use crate::{
    ai::{
        Endpoint,
        calls::Calls,
        error::{ApiError, Refusal},
        tokens,
    },
    clock::now,
};

type Answer = Result<Json<Value>, Refusal>;

pub(crate) fn routes() -> Router<Calls> {
    Router::new()
        .route("/v1/files", post(upload))
        .route("/v1/files/{id}", get(show_file).delete(delete_file))
        .route("/v1/files/{id}/content", get(content))
        .route("/v1/batches", post(create).get(list))
        .route("/v1/batches/{id}", get(show))
        .route("/v1/batches/{id}/cancel", post(cancel))
}

#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

async fn upload(State(calls): State<Calls>, headers: HeaderMap, body: Body) -> Answer {
    let key = calls.visit(Endpoint::Files, &headers, false).await?;
    if calls.lane(Lane::fails_upload) {
        return Err(ApiError::trouble(503, None).into());
    }
    let broken = |_| ApiError::invalid(None, "The form is broken.");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default()).map_err(broken)?;
    let mut form = Multipart::new(body.into_data_stream(), boundary);
    let (mut purpose, mut content) = (None, None);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("purpose") => purpose = Some(field.text().await.map_err(broken)?),
            Some("file") => content = Some(field.text().await.map_err(broken)?),
            _ => return Err(ApiError::invalid(None, "Unknown field.").into()),
        }
    }
    if purpose.as_deref() != Some("batch") {
        return Err(ApiError::invalid(Some("purpose"), "'purpose' must be 'batch'").into());
    }
    let content = content.ok_or_else(|| ApiError::invalid(Some("file"), "'file' is missing"))?;
    let bytes = content.len();
    let id = calls.lane(|lane| lane.keep(&key, content));
    Ok(Json(file(&id, bytes)))
}

async fn show_file(
    State(calls): State<Calls>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let key = calls.visit(Endpoint::Files, &headers, false).await?;
    let bytes = calls.lane(|lane| lane.file(&key, &id).map(|file| file.content.len()));
    Ok(Json(file(&id, bytes.ok_or_else(|| ApiError::not_found("File", &id))?)))
}

async fn content(
    State(calls): State<Calls>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<String, Refusal> {
    let key = calls.visit(Endpoint::Files, &headers, false).await?;
    let content = calls.lane(|lane| lane.file(&key, &id).map(|file| file.content.clone()));
    Ok(content.ok_or_else(|| ApiError::not_found("File", &id))?)
}

async fn delete_file(
    State(calls): State<Calls>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let key = calls.visit(Endpoint::Files, &headers, false).await?;
    let deleted = calls.lane(|lane| {
        let known = lane.file(&key, &id).is_some();
        known && lane.files.remove(&id).is_some()
    });
    if !deleted {
        return Err(ApiError::not_found("File", &id).into());
    }
    Ok(Json(json!({ "id": id, "object": "file", "deleted": true })))
}

async fn create(
    State(calls): State<Calls>,
    headers: HeaderMap,
    Json(new): Json<NewBatch>,
) -> Answer {
    let key = calls.visit(Endpoint::Batches, &headers, true).await?;
    if new.completion_window != "24h" {
        return Err(ApiError::invalid(Some("completion_window"), "must be '24h'").into());
    }
    let input = new.input_file_id.clone();
    let batch = calls.lane(|lane| lane.create(&key, new));
    let batch = batch.ok_or_else(|| ApiError::not_found("File", &input))?;
    if batch.fault == Some(BatchFault::AnswerLost) {
        return Err(Refusal::Reset);
    }
    Ok(Json(batch.describe()))
}

async fn list(State(calls): State<Calls>, headers: HeaderMap, Query(page): Query<Page>) -> Answer {
    let key = calls.visit(Endpoint::Batches, &headers, false).await?;
    let limit = page.limit.unwrap_or(20).clamp(1, 100);
    let (batches, has_more) = calls.lane(|lane| lane.list(&key, page.after.as_deref(), limit));
    let data: Vec<Value> = batches.iter().map(Batch::describe).collect();
    let id = |batch: Option<&Batch>| batch.map(|it| it.id.clone());
    let (first, last) = (id(batches.first()), id(batches.last()));
    Ok(Json(json!({
        "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more,
    })))
}

async fn show(State(calls): State<Calls>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let key = calls.visit(Endpoint::Batches, &headers, false).await?;
    // Counting tokens is slow at first.
    let seen = {
        let (calls, id) = (calls.clone(), id.clone());
        tokens::off_thread(move || calls.lane(|lane| lane.look(&key, &id))).await
    };
    Ok(Json(seen.ok_or_else(|| ApiError::not_found("Batch", &id))?.describe()))
}

async fn cancel(State(calls): State<Calls>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let key = calls.visit(Endpoint::Batches, &headers, false).await?;
    let cancelled = calls.lane(|lane| lane.cancel(&key, &id));
    Ok(Json(cancelled.ok_or_else(|| ApiError::not_found("Batch", &id))?.describe()))
}

fn file(id: &str, bytes: usize) -> Value {
    json!({
        "id": id, "object": "file", "bytes": bytes, "created_at": now(), "filename": "batch.jsonl",
        "purpose": "batch", "status": "processed",
    })
}
