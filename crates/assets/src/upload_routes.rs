use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use kernel::Id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Query, RateClass, Routes};

use crate::{
    Asset, Assets, Error, Result, Status, Upload, content_type, name,
    parts::Part,
    routes::{READ, WRITE},
    upload::NewUpload,
};

pub(crate) fn routes() -> Routes<Assets> {
    let write = Access::to(WRITE);
    Routes::new()
        .route(write.limited_as(RateClass::Uploads), routes!(begin_upload))
        .route(Access::to(READ), routes!(list_uploads))
        .route(Access::to(READ), routes!(show_upload))
        .route(write.limited_as(RateClass::Parts), routes!(send_part))
        .route(write.limited_as(RateClass::Parts).resumable(), routes!(complete_upload))
        .route(write, routes!(abort_upload))
}

/// A file to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UploadInput {
    /// What it is called. It is only ever shown.
    #[schema(min_length = 1, max_length = 255, example = "poster.png")]
    name: String,
    /// What it is. What is in it has to agree.
    #[schema(example = "image/png")]
    content_type: String,
    /// How long it is.
    #[schema(minimum = 1, example = 48213)]
    bytes: i64,
    /// Its SHA-256 in hexadecimal digits, if it is to be checked.
    sha256: Option<String>,
}

/// An upload and what has come of it.
#[derive(Serialize, ToSchema)]
struct UploadProgress {
    #[serde(flatten)]
    upload: Upload,
    /// How many bytes have come.
    received_bytes: u64,
    /// The parts that have come, in their order. Of an upload that has ended none is told.
    parts: Vec<Part>,
}

impl UploadInput {
    fn check(&self, assets: &Assets) -> Result<Option<Vec<u8>>> {
        name::acceptable(&self.name)?;
        if !assets.config.asset_types.contains(&self.content_type) {
            let types = assets.config.asset_types.join(", ");
            return Err(Error::Field("/content_type", format!("must be one of {types}")));
        }
        if self.bytes < 1 {
            return Err(Error::Field("/bytes", "must be at least 1".to_owned()));
        }
        let mut most = assets.storage.max_bytes();
        if content_type::is_image(&self.content_type) {
            most = most.min(assets.config.asset_image_bytes);
        }
        if self.bytes.unsigned_abs() > most {
            return Err(Error::TooLarge(most));
        }
        let Some(sha256) = &self.sha256 else { return Ok(None) };
        let decoded = hex::decode(sha256).ok().filter(|bytes| bytes.len() == 32);
        let decoded = decoded
            .ok_or_else(|| Error::Field("/sha256", "must be 64 hexadecimal digits".to_owned()));
        decoded.map(Some)
    }
}

/// Begin to upload a file. Its bytes are reserved until the upload ends, after a day at the latest. Then send its
/// parts, in any order and several at a time, and complete it.
#[utoipa::path(post, path = "/v1/uploads", tag = "assets", request_body = UploadInput,
    responses((status = 201, body = Upload)))]
async fn begin_upload(
    State(assets): State<Assets>,
    caller: Caller,
    Json(input): Json<UploadInput>,
) -> web::Result<(StatusCode, [(HeaderName, String); 1], Json<Upload>)> {
    let sha256 = input.check(&assets)?;
    let new = NewUpload {
        org: caller.org,
        by: caller.user,
        name: name::acceptable(&input.name)?,
        content_type: &input.content_type,
        bytes: input.bytes,
        sha256,
    };
    let mut tx = assets.db.tenant(caller.org).await?;
    let upload = new.begin(&mut tx, assets.clock.now()).await?;
    tx.commit().await?;
    let location = [(header::LOCATION, format!("/v1/uploads/{}", upload.id))];
    Ok((StatusCode::CREATED, location, Json(upload)))
}

/// List uploads of the last day, the newest first.
#[utoipa::path(get, path = "/v1/uploads", tag = "assets", params(PageQuery),
    responses((status = 200, body = Page<Upload>)))]
async fn list_uploads(
    State(assets): State<Assets>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Upload>>> {
    let mut tx = assets.db.tenant(caller.org).await?;
    let rows = Upload::list(&mut *tx, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |upload| upload.id)))
}

/// Show how an upload stands: what to send again after an interruption.
#[utoipa::path(get, path = "/v1/uploads/{id}", tag = "assets",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = UploadProgress)))]
async fn show_upload(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Upload>>,
) -> web::Result<Json<UploadProgress>> {
    let upload = Upload::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
    let parts = match upload.status {
        Status::Open => assets.parts(caller.org, &upload).await?,
        _ => Vec::new(),
    };
    let received_bytes = parts.iter().map(|part| part.bytes).sum();
    Ok(Json(UploadProgress { upload, received_bytes, parts }))
}

/// Send a part, as the body. It may be sent again: what came last counts.
#[utoipa::path(put, path = "/v1/uploads/{id}/parts/{number}", tag = "assets",
    params(("id" = String, Path, format = Uuid), ("number" = u32, Path, minimum = 1)),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, body = Part)))]
async fn send_part(
    State(assets): State<Assets>,
    caller: Caller,
    Path((id, number)): Path<(Id<Upload>, u32)>,
    headers: HeaderMap,
    body: Body,
) -> web::Result<Json<Part>> {
    let upload = Upload::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
    let announced = announced_length(&headers);
    Ok(Json(assets.receive((caller.org, &upload), number, announced, body).await?))
}

pub(crate) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Make a file of an upload whose parts have all come. Asked again it answers the same file.
#[utoipa::path(post, path = "/v1/uploads/{id}/completion", tag = "assets",
    params(("id" = String, Path, format = Uuid)), responses((status = 201, body = Asset)))]
async fn complete_upload(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Upload>>,
) -> web::Result<(StatusCode, Json<Asset>)> {
    Ok((StatusCode::CREATED, Json(assets.complete(caller, id).await?)))
}

/// Give an upload up: what came of it is erased, and its bytes are free.
#[utoipa::path(delete, path = "/v1/uploads/{id}", tag = "assets",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn abort_upload(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Upload>>,
) -> web::Result<StatusCode> {
    if !assets.end(caller.org, id, Status::Aborted).await? {
        Upload::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
        return Err(Error::UploadEnded.into());
    }
    Ok(StatusCode::NO_CONTENT)
}
