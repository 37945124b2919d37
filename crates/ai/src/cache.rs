use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use http_body::Body as _;
use kernel::{Id, Org};
use moka::{future::Cache, policy::EvictionPolicy};
use serde_json::Value;
use sha2::{Digest, Sha256};
use usage::CachedAnswer;
use web::{Access, Identity, Problem};

use crate::{
    Ai,
    asked::Context,
    chat::BODY_LIMIT,
    error::ApiError,
    headers::{COST, CREDITS, OF_ONE_CALL},
    hits::{Paid, Receipt},
};

/// What answers the same to the same question, if asked to.
const CACHEABLE: [&str; 4] =
    ["/v1/chat/completions", "/v1/embeddings", "/v1/images/generations", "/v1/messages"];
/// Asks for the cache, and tells what it did.
const CACHE: HeaderName = HeaderName::from_static("x-slipway-cache");
/// What the call that was not made would have cost.
const SAVED: HeaderName = HeaderName::from_static("x-slipway-saved-nano-usd");
/// How long an answer is good for.
const LIFE: TimeDelta = TimeDelta::hours(1);
/// How much memory all answers together may take, and one of them.
const CAPACITY: u64 = 64 * 1024 * 1024;
const LARGEST: usize = 1024 * 1024;

type Key = [u8; 32];
/// A question, and what answering it was booked at.
type Of = (Key, Receipt);

/// Answers of AI calls that may be given again, in the memory of this instance.
///
/// Exact: the same org, operation and body, whatever the order of its fields. Only for requests that
/// ask for it, since they get the same words again even where the temperature promises others.
#[derive(Clone)]
pub struct AnswerCache {
    ai: Ai,
    known: Cache<Key, Cached>,
}

#[derive(Clone, Debug)]
struct Cached {
    until: DateTime<Utc>,
    headers: HeaderMap,
    body: Bytes,
    /// What the call used that was answered so.
    paid: Paid,
}

/// Middleware, in front of the handlers: an AI call with `X-Slipway-Cache: on` is answered from the
/// cache, if its answer is known, and costs nothing then.
pub async fn cached(State(cache): State<AnswerCache>, request: Request, next: Next) -> Response {
    match wanted(&request) {
        Some(org) => {
            let answered = cache.answer(org, request, next).await;
            answered.unwrap_or_else(|problem| ApiError::from(problem).into_response())
        }
        None => next.run(request).await,
    }
}

/// Whose cache is asked for, by a caller who may make the call.
fn wanted(request: &Request) -> Option<Id<Org>> {
    let extensions = request.extensions();
    let asks = request.headers().get(CACHE).is_some_and(|value| value == "on");
    let path = extensions.get::<MatchedPath>()?.as_str();
    if !asks || request.method() != Method::POST || !CACHEABLE.contains(&path) {
        return None;
    }
    let Identity::Known(caller) = extensions.get()? else { return None };
    caller.require(extensions.get::<Access>()?).is_ok().then_some(caller.org)
}

impl AnswerCache {
    /// Knows nothing yet.
    pub fn new(ai: Ai) -> Self {
        let known = Cache::builder()
            .time_to_live(LIFE.to_std().unwrap_or(Duration::ZERO))
            .max_capacity(CAPACITY)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, answer: &Cached| answer.body.len().try_into().unwrap_or(u32::MAX));
        Self { ai, known: known.build() }
    }

    async fn answer(
        &self,
        org: Id<Org>,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let (mut parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
            let detail = "the body is larger than this address accepts, or it ended early";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        })?;
        let Some(key) = key(org, parts.uri.path(), &body) else {
            return Ok(next.run(Request::from_parts(parts, body.into())).await);
        };
        let found = self.known.get(&key).await.filter(|it| it.until > self.ai.clock.now());
        let result = if found.is_some() { "hit" } else { "miss" };
        metrics::counter!("ai_cache_total", "result" => result).increment(1);
        if let Some(found) = found {
            // Whoever may not call may not be answered either.
            self.ai.controls.of(org).await?.check()?;
            let context = Context::from_request_parts(&mut parts, &()).await?;
            self.ai.hits.record(found.hit(context, self.ai.clock.now()));
            return Ok(found.answer());
        }
        let receipt = Receipt::default();
        parts.extensions.insert(receipt.clone());
        let response = next.run(Request::from_parts(parts, body.into())).await;
        Ok(self.clone().keep((key, receipt), response).await)
    }

    /// Passes an answer on, and remembers it once it has been given whole.
    async fn keep(self, of: Of, response: Response) -> Response {
        if response.status() != StatusCode::OK {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let headers = parts.headers.clone();
        parts.headers.insert(CACHE, HeaderValue::from_static("miss"));
        if body.size_hint().exact().is_none() {
            return Response::from_parts(parts, self.listen(of, headers, body));
        }
        // In memory already, as its size is known.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        self.remember(&of, headers, body.clone()).await;
        Response::from_parts(parts, body.into())
    }

    /// The same stream, which is remembered when it has ended.
    fn listen(self, of: Of, headers: HeaderMap, body: Body) -> Body {
        let heard = (body.into_data_stream(), Some(BytesMut::new()));
        Body::from_stream(stream::unfold(heard, move |(mut body, heard)| {
            let (cache, of, headers) = (self.clone(), of.clone(), headers.clone());
            async move {
                match (body.next().await, heard) {
                    (Some(Ok(chunk)), Some(mut heard)) if heard.len() <= LARGEST => {
                        heard.extend_from_slice(&chunk);
                        Some((Ok(chunk), (body, Some(heard))))
                    }
                    // Broken off, or too long to be remembered.
                    (Some(chunk), _) => Some((chunk, (body, None))),
                    (None, Some(heard)) => {
                        cache.remember(&of, headers, heard.freeze()).await;
                        None
                    }
                    (None, None) => None,
                }
            }
        }))
    }

    async fn remember(&self, (key, receipt): &Of, mut headers: HeaderMap, body: Bytes) {
        let Some(paid) = receipt.paid().cloned() else { return };
        if body.len() <= LARGEST && is_whole(&headers, &body) {
            let until = self.ai.clock.now() + LIFE;
            for name in OF_ONE_CALL {
                headers.remove(name);
            }
            self.known.insert(*key, Cached { until, headers, body, paid }).await;
        }
    }
}

impl Cached {
    /// What is written down of answering with it.
    fn hit(&self, context: Context, at: DateTime<Utc>) -> CachedAnswer {
        let Paid { operation, provider, model, price, quantities, .. } = self.paid.clone();
        CachedAnswer {
            org: context.by.org,
            user: context.by.user,
            api_key: context.by.api_key,
            project: context.project,
            operation,
            provider,
            model,
            price,
            quantities,
            request_id: context.request_id,
            at,
        }
    }

    fn answer(mut self) -> Response {
        let free = HeaderValue::from_static("0");
        self.headers.insert(COST, free.clone());
        self.headers.insert(CREDITS, free);
        self.headers.insert(SAVED, self.paid.cost.0.into());
        self.headers.insert(CACHE, HeaderValue::from_static("hit"));
        (self.headers, self.body).into_response()
    }
}

/// The same request gives the same, however its fields are ordered. `None`: it is no JSON.
fn key(org: Id<Org>, operation: &str, body: &[u8]) -> Option<Key> {
    let canonical: Value = serde_json::from_slice(body).ok()?;
    let request = (org.uuid(), operation, canonical);
    Some(Sha256::digest(serde_json::to_vec(&request).ok()?).into())
}

/// Whether an answer that ended is one, and not a stream that broke off.
fn is_whole(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !kind.starts_with(b"text/event-stream") {
        return true;
    }
    let says = |line: &[u8]| body.windows(line.len()).any(|it| it == line);
    let broken = says(b"\ndata: {\"error\":") || says(b"event: error\n");
    !broken && (says(b"\ndata: [DONE]\n") || says(b"event: message_stop\n"))
}
