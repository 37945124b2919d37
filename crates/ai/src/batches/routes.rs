use axum::extract::State;
use chrono::{DateTime, Utc};
use jobs::enqueue;
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Permission, Problem, Query, Routes};

use super::{
    RunBatches,
    batch::{Batch, NewBatch, Status},
    end::end_if_done,
    file::File,
    file_routes,
    lines::{Mistake, read},
    list::{List, ListQuery},
};
use crate::{Ai, asked::CalledBy, chat::INVOKE, error::ApiResult};

const READ: Permission = Permission::read("ai:read");

/// Where a batch may go, and what is done there.
pub(crate) const ENDPOINTS: [(&str, &str); 3] = [
    ("/v1/chat/completions", "chat"),
    ("/v1/embeddings", "embedding"),
    ("/v1/images/generations", "image"),
];

/// How many batches of an org may wait or be made: each keeps up to 10,000 calls.
const MOST_OPEN: i64 = 20;

pub(super) fn routes() -> Routes<Ai> {
    Routes::new()
        .route(Access::to(INVOKE), routes!(create_batch))
        .route(Access::to(READ), routes!(list_batches))
        .route(Access::to(READ), routes!(show_batch))
        .route(Access::to(INVOKE), routes!(cancel_batch))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAiBatch)]
struct BatchInput {
    /// A file of JSON lines: `{"custom_id", "method": "POST", "url", "body"}`.
    input_file_id: uuid::Uuid,
    /// Where all its calls go.
    #[schema(example = "/v1/chat/completions")]
    endpoint: String,
    /// `24h`.
    #[schema(example = "24h")]
    completion_window: String,
    /// Up to 16 notes of the caller's own.
    metadata: Option<BTreeMap<String, String>>,
}

/// A batch, as `OpenAI`'s API shows it. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
#[schema(as = AiBatch)]
struct Shown {
    #[schema(value_type = uuid::Uuid)]
    id: Id<Batch>,
    #[schema(example = "batch")]
    object: &'static str,
    endpoint: &'static str,
    errors: Option<Mistakes>,
    #[schema(value_type = uuid::Uuid)]
    input_file_id: Id<File>,
    #[schema(example = "24h")]
    completion_window: &'static str,
    status: Status,
    /// The answers, once it has ended.
    #[schema(value_type = Option<uuid::Uuid>)]
    output_file_id: Option<Id<File>>,
    /// What failed or was not made, likewise.
    #[schema(value_type = Option<uuid::Uuid>)]
    error_file_id: Option<Id<File>>,
    created_at: i64,
    in_progress_at: Option<i64>,
    expires_at: i64,
    completed_at: Option<i64>,
    failed_at: Option<i64>,
    expired_at: Option<i64>,
    cancelling_at: Option<i64>,
    cancelled_at: Option<i64>,
    request_counts: Counts,
    metadata: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AiBatchErrors)]
struct Mistakes {
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<Mistake>,
}

/// How many calls.
#[derive(Serialize, ToSchema)]
#[schema(as = AiBatchCounts)]
struct Counts {
    total: i32,
    completed: i32,
    failed: i32,
}

impl From<Batch> for Shown {
    fn from(batch: Batch) -> Self {
        let seconds = |time: DateTime<Utc>| time.timestamp();
        let ended = |as_: Status| batch.ended_at.filter(|_| batch.status == as_).map(seconds);
        let endpoint = ENDPOINTS.iter().find(|(_, operation)| *operation == batch.operation);
        Self {
            id: batch.id,
            object: "batch",
            endpoint: endpoint.map_or("", |(path, _)| *path),
            errors: batch.errors.map(|data| Mistakes { object: "list", data: data.0 }),
            input_file_id: batch.input_file,
            completion_window: "24h",
            status: batch.status,
            output_file_id: batch.output_file,
            error_file_id: batch.error_file,
            created_at: seconds(batch.created_at),
            in_progress_at: (batch.status != Status::Failed).then(|| seconds(batch.created_at)),
            expires_at: seconds(batch.expires_at),
            completed_at: ended(Status::Completed),
            failed_at: ended(Status::Failed),
            expired_at: ended(Status::Expired),
            cancelling_at: batch.cancelling_at.map(seconds),
            cancelled_at: ended(Status::Cancelled),
            request_counts: Counts {
                total: batch.total,
                completed: batch.completed,
                failed: batch.failed,
            },
            metadata: batch.metadata,
        }
    }
}

impl BatchInput {
    fn check(&self) -> Result<&'static str, Problem> {
        if self.completion_window != "24h" {
            return Err(Problem::invalid_field("/completion_window", "must be 24h"));
        }
        let notes = self.metadata.iter().flatten();
        if notes.clone().count() > 16 || notes.clone().any(|(k, v)| k.len() > 64 || v.len() > 512) {
            let detail = "must have at most 16 notes, of names up to 64 bytes and texts up to 512";
            return Err(Problem::invalid_field("/metadata", detail));
        }
        let found = ENDPOINTS.iter().find(|(path, _)| *path == self.endpoint);
        found.map(|(_, operation)| *operation).ok_or_else(|| {
            let detail = "must be /v1/chat/completions, /v1/embeddings or /v1/images/generations";
            Problem::invalid_field("/endpoint", detail)
        })
    }
}

/// Have the calls in a file made when there is room for them, as `OpenAI`'s API.
///
/// Each call is reserved when its turn comes and charged as any other; what fails costs nothing and is in
/// the error file. A file that cannot be read as a batch gives a `failed` one that says why.
#[utoipa::path(post, path = "/v1/batches", tag = "ai", request_body = BatchInput,
    responses((status = 200, body = Shown)))]
async fn create_batch(
    State(ai): State<Ai>,
    caller: Caller,
    Json(input): Json<BatchInput>,
) -> ApiResult<Json<Shown>> {
    let (operation, input_file) = (input.check()?, Id::<File>::from(input.input_file_id));
    let (by, now) = (CalledBy::from(&caller), ai.clock.now());
    let mut tx = ai.db.tenant(caller.org).await?;
    let open = Batch::open(&mut *tx).await?;
    let content = File::content(&mut *tx, input_file, now).await?;
    tx.commit().await?;
    if open >= MOST_OPEN {
        let detail = format!("your organization has {open} batches that have not ended");
        return Err(Problem::conflict("too_many_batches", detail)
            .action("Wait until one has ended, or cancel one.")
            .into());
    }
    let content = content.ok_or_else(file_routes::not_found)?;
    let lines = read(&content, &input.endpoint);
    let metadata = input.metadata.map(|notes| serde_json::json!(notes));
    let lines = lines.as_deref().map_err(Vec::as_slice);
    let unsorted = ai.providers().have_batches();
    let new = NewBatch { by, operation, input_file, metadata: metadata.as_ref(), lines, unsorted };
    let mut tx = ai.db.begin().await?;
    let id = new.insert(&mut tx, now).await?;
    enqueue(&mut tx, &RunBatches {}).await?;
    tx.commit().await?;
    show(&ai, &caller, id).await
}

/// List the org's batches, the newest first.
#[utoipa::path(get, path = "/v1/batches", tag = "ai", params(ListQuery),
    responses((status = 200, body = List<Shown>)))]
async fn list_batches(
    State(ai): State<Ai>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<List<Shown>>> {
    let rows = query.rows()?;
    let mut tx = ai.db.tenant(caller.org).await?;
    let batches = Batch::list(&mut *tx, None, query.after(), rows).await?;
    let shown = batches.into_iter().map(Shown::from).collect();
    Ok(Json(List::new(&query, shown, |batch| batch.id.uuid())))
}

/// Show a batch and how far it is.
#[utoipa::path(get, path = "/v1/batches/{id}", tag = "ai",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Shown)))]
async fn show_batch(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<Batch>>,
) -> ApiResult<Json<Shown>> {
    show(&ai, &caller, id).await
}

/// Call off what of a batch has not begun. Calls in flight end as usual, and are charged.
#[utoipa::path(post, path = "/v1/batches/{id}/cancel", tag = "ai",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Shown)))]
async fn cancel_batch(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<Batch>>,
) -> ApiResult<Json<Shown>> {
    let now = ai.clock.now();
    let mut tx = ai.db.tenant(caller.org).await?;
    let cancelled = Batch::cancel(&mut tx, id, now).await?;
    tx.commit().await?;
    if !cancelled {
        let Json(ended) = show(&ai, &caller, id).await?;
        let detail = format!("it has ended ({})", serde_json::json!(ended.status));
        return Err(Problem::conflict("batch_has_ended", detail).into());
    }
    // Providers that have a part of it are to be told.
    enqueue(&mut *ai.db.pool().acquire().await?, &RunBatches {}).await?;
    end_if_done(ai.db.pool(), id, now).await?;
    show(&ai, &caller, id).await
}

async fn show(ai: &Ai, caller: &Caller, id: Id<Batch>) -> ApiResult<Json<Shown>> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let found = Batch::find(&mut *tx, id).await?;
    let found =
        found.ok_or_else(|| Problem::not_found("batch_not_found", "there is no such batch"));
    Ok(Json(found?.into()))
}
