use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use kernel::Id;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Routes};

use crate::{
    Asset, Assets, download::Cached, erase::EraseAsset, usage, webhook_events::AssetDeleted,
};

pub(crate) const READ: Permission = Permission::read("assets:read");
pub(crate) const WRITE: Permission = Permission::write("assets:write");

pub(crate) fn routes() -> Routes<Assets> {
    Routes::new()
        .route(Access::to(READ), routes!(list_assets))
        .route(Access::to(READ), routes!(show_asset))
        .route(Access::to(READ), routes!(read_asset))
        .route(Access::to(READ), routes!(read_thumbnail))
        .route(Access::to(READ), routes!(show_usage))
        .route(Access::to(WRITE), routes!(delete_asset))
}

/// How much the organization stores.
#[derive(Serialize, ToSchema)]
struct AssetUsage {
    /// Bytes of files, and of uploads under way.
    used_bytes: i64,
    /// Bytes that its plan gives it.
    limit_bytes: i64,
}

/// List files, the newest first.
#[utoipa::path(get, path = "/v1/assets", tag = "assets", params(PageQuery),
    responses((status = 200, body = Page<Asset>)))]
async fn list_assets(
    State(assets): State<Assets>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Asset>>> {
    let mut tx = assets.db.tenant(caller.org).await?;
    let rows = Asset::list(&mut *tx, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |asset| asset.id)))
}

/// Show a file.
#[utoipa::path(get, path = "/v1/assets/{id}", tag = "assets",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Asset)))]
async fn show_asset(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Asset>>,
) -> web::Result<Json<Asset>> {
    let mut tx = assets.db.tenant(caller.org).await?;
    Ok(Json(Asset::get(&mut *tx, id).await?))
}

/// Download a file, or a range of it. What a browser might run comes as an attachment.
#[utoipa::path(get, path = "/v1/assets/{id}/content", tag = "assets",
    params(
        ("id" = String, Path, format = Uuid),
        ("Range" = Option<String>, Header, example = "bytes=0-1023"),
        ("If-None-Match" = Option<String>, Header),
        ("If-Range" = Option<String>, Header),
    ),
    responses(
        (status = 200, content((String = "application/octet-stream"))),
        (status = 206, content((String = "application/octet-stream"))),
        (status = 304),
    ))]
async fn read_asset(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Asset>>,
    headers: HeaderMap,
) -> web::Result<Response> {
    let asset = Asset::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
    assets.download(caller.org, &asset, &headers, Cached::Privately).await
}

/// Download the thumbnail of an image: at most 512 pixels wide and high.
#[utoipa::path(get, path = "/v1/assets/{id}/thumbnail", tag = "assets",
    params(("id" = String, Path, format = Uuid), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, content((String = "image/webp"), (String = "image/jpeg"))), (status = 304)))]
async fn read_thumbnail(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Asset>>,
    headers: HeaderMap,
) -> web::Result<Response> {
    let asset = Asset::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
    assets.thumbnail(caller.org, asset, &headers).await
}

/// Delete a file. Links to it stop working, and its bytes are free at once; what is in it is erased within minutes.
#[utoipa::path(delete, path = "/v1/assets/{id}", tag = "assets",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn delete_asset(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Asset>>,
) -> web::Result<StatusCode> {
    let (org, now) = (caller.org, assets.clock.now());
    let mut tx = assets.db.begin().await?;
    Asset::delete(&mut tx, org, id, now).await?;
    webhooks::emit(&mut tx, org, &AssetDeleted { asset_id: id }, now).await?;
    jobs::enqueue(&mut tx, &EraseAsset { org, asset: id }).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show how much the organization stores, and how much it may.
#[utoipa::path(get, path = "/v1/asset-usage", tag = "assets",
    responses((status = 200, body = AssetUsage)))]
async fn show_usage(State(assets): State<Assets>, caller: Caller) -> web::Result<Json<AssetUsage>> {
    let mut tx = assets.db.tenant(caller.org).await?;
    let (used_bytes, limit_bytes) = usage::of(&mut *tx).await?;
    Ok(Json(AssetUsage { used_bytes, limit_bytes }))
}
