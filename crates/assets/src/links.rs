//! Links with which somebody without an account does one thing for some time.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Problem, Query, RateClass, Routes};

use crate::{
    Asset, Assets, Error, Result, Upload, download::Cached, parts::Part, routes::WRITE,
    upload_routes::announced_length,
};

/// How long a part may take to be sent by a link.
pub(crate) const PART_LIFE: TimeDelta = TimeDelta::hours(1);
/// Parts that links may be asked for at once.
const MOST_PARTS: usize = 100;

pub(crate) fn routes() -> Routes<Assets> {
    // Signatures speak for themselves, and a CDN asks for many people.
    let reading = Access::public().limited_as(RateClass::Unlimited);
    let sending = Access::public().limited_as(RateClass::Parts);
    Routes::new()
        .route(Access::to(WRITE).not_for_stand_ins(), routes!(link_asset))
        .route(Access::to(WRITE), routes!(link_parts))
        .route(reading, routes!(read_linked_asset))
        .route(sending, routes!(send_linked_part))
}

/// For how long a link is to work.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkInput {
    /// In seconds.
    #[serde(default = "LinkInput::an_hour")]
    #[schema(minimum = 60, maximum = 604_800, default = 3600)]
    expires_in: u32,
}

impl LinkInput {
    fn an_hour() -> u32 {
        3600
    }
}

/// Which parts links are for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartLinksInput {
    /// Their numbers.
    #[schema(min_items = 1, max_items = 100)]
    parts: Vec<u32>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
struct AssetLink {
    /// Where it leads.
    #[schema(value_type = String, format = "uri")]
    url: Url,
    /// When it stops working.
    expires_at: DateTime<Utc>,
}

/// Links to which parts are sent, with `PUT` and nothing else.
#[derive(Debug, Serialize, ToSchema)]
struct PartLinks {
    /// One for each.
    items: Vec<PartLink>,
}

/// A link to which a part is sent.
#[derive(Debug, Serialize, ToSchema)]
struct PartLink {
    /// Its number.
    part: u32,
    /// How long it has to be.
    bytes: u64,
    /// Where to send it.
    #[schema(value_type = String, format = "uri")]
    url: Url,
    /// When the link stops working.
    expires_at: DateTime<Utc>,
}

/// What a link of ours says besides its path.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Signed {
    /// Whose it is.
    org: uuid::Uuid,
    /// When it stops working, in seconds since 1970.
    expires: i64,
    /// That it is ours.
    signature: String,
}

impl Assets {
    /// A link of ours to `path` of `org`.
    fn link(&self, base: &Url, path: &str, org: Id<Org>, until: DateTime<Utc>) -> Result<Url> {
        let expires = until.timestamp();
        let signature = self.signer.sign(&signed_text(path, org, expires));
        let signature = signature.ok_or(Error::InvalidLink)?;
        let mut url = base.clone();
        url.set_path(path);
        url.query_pairs_mut()
            .append_pair("org", &org.to_string())
            .append_pair("expires", &expires.to_string())
            .append_pair("signature", &signature);
        Ok(url)
    }

    /// A link by the CDN, if there is one, to a file that there is not: to see whether the CDN asks us, with the whole link.
    pub fn link_to_nothing(&self) -> Option<Url> {
        let base = self.config.cdn_url.as_ref()?;
        self.link(base, &asset_path(Id::new()), Id::new(), self.clock.now() + PART_LIFE).ok()
    }

    /// How long a link of ours still works, and for whom.
    fn opened(&self, path: &str, signed: &Signed) -> Result<(Id<Org>, TimeDelta)> {
        let org = signed.org.into();
        let text = signed_text(path, org, signed.expires);
        let left = signed.expires.saturating_sub(self.clock.now().timestamp());
        if left <= 0 || !self.signer.verify(&text, &signed.signature) {
            return Err(Error::InvalidLink);
        }
        Ok((org, TimeDelta::seconds(left)))
    }
}

fn signed_text(path: &str, org: Id<Org>, expires: i64) -> String {
    format!("{path}\n{org}\n{expires}")
}

fn asset_path(id: Id<Asset>) -> String {
    format!("/v1/asset-links/{id}")
}

fn part_path(id: Id<Upload>, number: u32) -> String {
    format!("/v1/upload-links/{id}/parts/{number}")
}

fn seconds(life: TimeDelta) -> Duration {
    life.to_std().unwrap_or_default()
}

/// Make a link with which anybody downloads a file for some time.
#[utoipa::path(post, path = "/v1/assets/{id}/links", tag = "assets", request_body = LinkInput,
    params(("id" = String, Path, format = Uuid)), responses((status = 201, body = AssetLink)))]
async fn link_asset(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Asset>>,
    Json(input): Json<LinkInput>,
) -> web::Result<(StatusCode, Json<AssetLink>)> {
    let asset = Asset::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
    if !(60..=604_800).contains(&input.expires_in) {
        return Err(Problem::invalid_field("/expires_in", "must be 60 to 604800 seconds"));
    }
    let life = TimeDelta::seconds(input.expires_in.into());
    let expires_at = assets.clock.now() + life;
    let labels = Asset::labels(&asset.name, &asset.content_type);
    let key = Asset::key(caller.org, id);
    let in_bucket = assets.storage.presigned_get(&key, &labels, seconds(life));
    let ours = |base| assets.link(base, &asset_path(id), caller.org, expires_at);
    let url = match (&assets.config.cdn_url, in_bucket) {
        (Some(cdn), _) => ours(cdn)?,
        (None, Some(url)) => url,
        (None, None) => ours(&assets.app_url)?,
    };
    Ok((StatusCode::CREATED, Json(AssetLink { url, expires_at })))
}

/// Make links to which parts of an upload are sent without signing in, straight to the bucket if there is one.
#[utoipa::path(post, path = "/v1/uploads/{id}/links", tag = "assets", request_body = PartLinksInput,
    params(("id" = String, Path, format = Uuid)), responses((status = 201, body = PartLinks)))]
async fn link_parts(
    State(assets): State<Assets>,
    caller: Caller,
    Path(id): Path<Id<Upload>>,
    Json(input): Json<PartLinksInput>,
) -> web::Result<(StatusCode, Json<PartLinks>)> {
    let upload = Upload::get(&mut *assets.db.tenant(caller.org).await?, id).await?;
    let now = assets.clock.now();
    upload.check_open(now)?;
    if !(1..=MOST_PARTS).contains(&input.parts.len()) {
        return Err(Problem::invalid_field("/parts", "must be 1 to 100 numbers"));
    }
    let expires_at = (now + PART_LIFE).min(upload.expires_at);
    let link = |part: u32| -> Result<PartLink> {
        let bytes = upload.length_of(part)?;
        let key = Upload::key(caller.org, id).part(part);
        let url = match assets.storage.presigned_put(&key, bytes, seconds(expires_at - now)) {
            Some(url) => url,
            None => assets.link(&assets.app_url, &part_path(id, part), caller.org, expires_at)?,
        };
        Ok(PartLink { part, bytes, url, expires_at })
    };
    let items: Result<Vec<_>> = input.parts.iter().map(|part| link(*part)).collect();
    Ok((StatusCode::CREATED, Json(PartLinks { items: items? })))
}

/// Download what a link leads to.
#[utoipa::path(get, path = "/v1/asset-links/{id}", tag = "assets",
    params(("id" = String, Path, format = Uuid), Signed,
        ("Range" = Option<String>, Header, example = "bytes=0-1023")),
    responses(
        (status = 200, content((String = "application/octet-stream"))),
        (status = 206, content((String = "application/octet-stream"))),
        (status = 304),
    ))]
async fn read_linked_asset(
    State(assets): State<Assets>,
    Path(id): Path<Id<Asset>>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
) -> web::Result<Response> {
    let (org, left) = assets.opened(&asset_path(id), &signed)?;
    let asset = Asset::get(&mut *assets.db.tenant(org).await?, id).await?;
    assets.download(org, &asset, &headers, Cached::Publicly(left)).await
}

/// Send the part that a link is for, as the body.
#[utoipa::path(put, path = "/v1/upload-links/{id}/parts/{number}", tag = "assets",
    params(("id" = String, Path, format = Uuid), ("number" = u32, Path, minimum = 1), Signed),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, body = Part)))]
async fn send_linked_part(
    State(assets): State<Assets>,
    Path((id, number)): Path<(Id<Upload>, u32)>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
    body: Body,
) -> web::Result<Json<Part>> {
    let (org, _) = assets.opened(&part_path(id, number), &signed)?;
    let upload = Upload::get(&mut *assets.db.tenant(org).await?, id).await?;
    let announced = announced_length(&headers);
    Ok(Json(assets.receive((org, &upload), number, announced, body).await?))
}
