use axum::{
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{IntoResponse, Response},
};
use kernel::Id;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::UtoipaMethodRouterExt, routes};
use web::{Access, Caller, Json, Path, Permission, Problem, Query, RateClass, Routes};

use super::{
    file::{File, NewFile, Purpose},
    form::Form,
    list::{List, ListQuery},
};
use crate::{Ai, chat::INVOKE, error::ApiResult, uploaded::kind};

const READ: Permission = Permission::read("ai:read");
/// No name is longer.
const LONGEST_NAME: usize = 255;

pub(super) fn routes() -> Routes<Ai> {
    // The form has limits of its own.
    let upload = routes!(upload_file).layer(DefaultBodyLimit::disable());
    Routes::new()
        .route(Access::to(INVOKE).limited_as(RateClass::Uploads), upload)
        .route(Access::to(READ), routes!(list_files))
        .route(Access::to(READ), routes!(show_file))
        .route(Access::to(READ), routes!(read_file))
        .route(Access::to(INVOKE), routes!(delete_file))
}

/// What an upload looks like.
#[derive(ToSchema)]
#[schema(as = AiFileUpload)]
#[expect(dead_code, reason = "it describes the form")]
struct Upload {
    /// `batch` or `vision`.
    #[schema(example = "batch")]
    purpose: String,
    /// JSON lines, or an image.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A file that is no more.
#[derive(Serialize, ToSchema)]
#[schema(as = AiFileDeleted)]
struct Removed {
    #[schema(value_type = uuid::Uuid)]
    id: Id<File>,
    #[schema(example = "file")]
    object: &'static str,
    deleted: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FilesQuery {
    /// Items per page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u16>,
    /// The last id of the page before.
    after: Option<uuid::Uuid>,
    /// Only files for this.
    #[param(inline)]
    purpose: Option<Purpose>,
}

/// Upload the calls of a batch as JSON lines, or an image for prompts, as `OpenAI`'s API: at most 20 MB.
/// Kept for a week.
#[utoipa::path(post, path = "/v1/files", tag = "ai",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses((status = 200, body = File)))]
async fn upload_file(State(ai): State<Ai>, caller: Caller, form: Form) -> ApiResult<Json<File>> {
    let purpose = match form.purpose.as_str() {
        "batch" => Purpose::Batch,
        "vision" if kind(&form.content).is_some() => Purpose::Vision,
        "vision" => {
            return Err(Problem::invalid_field("/file", "must be a PNG, JPEG, GIF or WebP").into());
        }
        _ => return Err(Problem::invalid_field("/purpose", "must be batch or vision").into()),
    };
    let printable = form.name.chars().filter(|it| !it.is_control());
    let name: String = printable.take(LONGEST_NAME).collect();
    let (org, content) = (caller.org, &*form.content);
    let mut tx = ai.db.tenant(org).await?;
    let new = NewFile { org, purpose, name: &name, content };
    let file = new.insert(&mut tx, ai.clock.now()).await?;
    tx.commit().await?;
    Ok(Json(file))
}

/// List the org's files, the newest first.
#[utoipa::path(get, path = "/v1/files", tag = "ai", params(FilesQuery),
    responses((status = 200, body = List<File>)))]
async fn list_files(
    State(ai): State<Ai>,
    caller: Caller,
    Query(query): Query<FilesQuery>,
) -> ApiResult<Json<List<File>>> {
    let page = ListQuery::new(query.limit, query.after);
    let mut tx = ai.db.tenant(caller.org).await?;
    let rows = page.rows()?;
    let files = File::list(&mut *tx, page.after(), query.purpose, rows, ai.clock.now()).await?;
    Ok(Json(List::new(&page, files, |file| file.id.uuid())))
}

/// Show a file.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "ai",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = File)))]
async fn show_file(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<File>>,
) -> ApiResult<Json<File>> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let file = File::find(&mut *tx, id, ai.clock.now()).await?;
    Ok(Json(file.ok_or_else(not_found)?))
}

/// Read what is in a file.
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "ai",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content((String = "application/octet-stream")))))]
async fn read_file(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<File>>,
) -> ApiResult<Response> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let content = File::content(&mut *tx, id, ai.clock.now()).await?.ok_or_else(not_found)?;
    // Never shown by a browser, whatever it was named and says.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, content).into_response())
}

/// Delete a file. A batch that was made of it goes on.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "ai",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Removed)))]
async fn delete_file(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<File>>,
) -> ApiResult<Json<Removed>> {
    let mut tx = ai.db.tenant(caller.org).await?;
    let deleted = File::delete(&mut tx, id).await?;
    tx.commit().await?;
    if !deleted {
        return Err(not_found().into());
    }
    Ok(Json(Removed { id, object: "file", deleted }))
}

pub(super) fn not_found() -> Problem {
    Problem::not_found("file_not_found", "there is no such file, or no longer")
}
