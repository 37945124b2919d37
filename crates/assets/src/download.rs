use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use futures::TryStreamExt;
use kernel::{Id, Org};
use web::Problem;

use crate::{
    Asset, Assets,
    range::{self, Asked},
    thumbnail,
};

/// Who may keep what is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cached {
    /// Whoever asked, if they ask again whether they still may see it.
    Privately,
    /// Anybody, until their link ends.
    Publicly(TimeDelta),
}

impl Assets {
    /// What is in `asset`, or as much of it as is asked for, as it comes from the storage.
    pub(crate) async fn download(
        &self,
        org: Id<Org>,
        asset: &Asset,
        headers: &HeaderMap,
        cached: Cached,
    ) -> Result<Response, Problem> {
        let etag = format!("\"{}\"", hex::encode(&asset.sha256));
        let told = told(asset, &etag, cached)?;
        if has_already(headers, &etag) {
            return Ok((StatusCode::NOT_MODIFIED, told).into_response());
        }
        let size = asset.bytes.unsigned_abs();
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // Whoever has the beginning of something else needs all of it.
        let same = text(header::IF_RANGE).is_none_or(|range_of| range_of == etag);
        let range = match range::parse(text(header::RANGE).filter(|_| same), size) {
            Asked::Everything => None,
            Asked::Part(range) => Some(range),
            Asked::Unsatisfiable => return Err(unsatisfiable(size)),
        };
        let content = self.storage.read(&Asset::key(org, asset.id), range.clone()).await?;
        let (first, end) = (content.range.start, content.range.end);
        let id = asset.id;
        let stream = content.stream.inspect_err(move |error| {
            tracing::error!(asset = %id, %error, "a download broke off");
        });
        let mut response = Response::new(Body::from_stream(stream));
        response.headers_mut().extend(told);
        response.headers_mut().insert(header::CONTENT_LENGTH, (end - first).into());
        if range.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let part = format!("bytes {first}-{}/{size}", end - 1);
            response.headers_mut().insert(header::CONTENT_RANGE, value(part)?);
        }
        Ok(response)
    }
}

impl Assets {
    /// The thumbnail of `asset`, if there is one.
    pub(crate) async fn thumbnail(
        &self,
        org: Id<Org>,
        asset: Asset,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let Some(content_type) = asset.thumbnail_type.clone() else {
            let detail = "there is no thumbnail of this file, or not yet";
            return Err(Problem::not_found("thumbnail_not_found", detail)
                .action("Images get one within a minute; show the image itself until then."));
        };
        let etag = format!("\"{}-thumbnail\"", hex::encode(&asset.sha256));
        let told = told(&Asset { content_type, ..asset.clone() }, &etag, Cached::Privately)?;
        if has_already(headers, &etag) {
            return Ok((StatusCode::NOT_MODIFIED, told).into_response());
        }
        let content = self.storage.get(&thumbnail::key(org, asset.id)).await?;
        let mut response = Response::new(Body::from(content));
        response.headers_mut().extend(told);
        response.headers_mut().remove(header::ACCEPT_RANGES);
        Ok(response)
    }
}

/// What is told of every answer. Nothing in it may run, wherever it is shown.
fn told(asset: &Asset, etag: &str, cached: Cached) -> Result<HeaderMap, Problem> {
    let labels = Asset::labels(&asset.name, &asset.content_type);
    let cached = match cached {
        Cached::Privately => "private, no-cache".to_owned(),
        Cached::Publicly(life) => {
            format!("public, max-age={}, immutable", life.num_seconds().max(0))
        }
    };
    Ok(HeaderMap::from_iter([
        (header::CONTENT_TYPE, value(labels.content_type)?),
        (header::CONTENT_DISPOSITION, value(labels.content_disposition)?),
        (header::ETAG, value(etag.to_owned())?),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CACHE_CONTROL, value(cached)?),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'"),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]))
}

fn value(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(Problem::internal)
}

fn has_already(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = |known: &str| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag
    };
    known.is_some_and(|known| known.split(',').any(same))
}

fn unsatisfiable(size: u64) -> Problem {
    let detail = format!("the file has {size} bytes");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
    match HeaderValue::try_from(format!("bytes */{size}")) {
        Ok(range) => problem.header(header::CONTENT_RANGE, range),
        Err(_) => problem,
    }
}
