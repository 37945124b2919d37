//! A provider that speaks OpenAI's API and Anthropic's: deterministic answers, true token counts,
//! misbehaviour on request.
#![expect(
    clippy::disallowed_types,
    reason = "a provider answers in its own shapes, not with a Problem"
)]

mod answer;
mod anthropic;
mod batches;
mod calls;
mod chat;
mod control;
mod embeddings;
mod error;
mod faults;
mod images;
mod models;
mod moderations;
mod request;
mod stream;
mod tokens;
mod usage;

use std::{io, net::SocketAddr};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, Method, Uri},
    middleware,
    response::Response,
    routing::{get, post},
};

use crate::serve::{Server, serve};
use batches::Lane;
use calls::Calls;
use error::ApiError;

pub use batches::BatchFault;
pub use calls::{Endpoint, ReceivedCall, State};
pub use faults::{Fault, Whom};
pub use usage::Usage;

/// A provider on loopback; it stops listening when this is dropped.
#[derive(Debug)]
pub struct Ai {
    server: Server,
    calls: Calls,
}

impl Ai {
    /// Listens on `addr`, where port 0 means any free port.
    pub async fn start(addr: SocketAddr) -> io::Result<Self> {
        let calls = Calls::default();
        let server = serve(addr, routes(calls.clone())).await?;
        Ok(Self { server, calls })
    }

    /// The base URL of both APIs.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.server.addr)
    }

    /// The next call that no earlier fault is waiting for meets `fault`.
    pub fn next(&self, fault: Fault) {
        self.next_n(1, fault);
    }

    /// The next `n` calls meet `fault`.
    pub fn next_n(&self, n: usize, fault: Fault) {
        self.calls.queue(n, fault);
    }

    /// Every call of `whom` meets `fault`, until [`Ai::recover`].
    pub fn always(&self, whom: Whom, fault: Fault) {
        self.calls.always(whom, fault);
    }

    /// Ends all misbehaviour.
    pub fn recover(&self) {
        self.calls.recover();
    }

    /// Makes calls wait before they are answered, until [`Ai::release`].
    pub fn hold(&self) {
        self.calls.hold();
    }

    /// Lets every waiting call go on, hung ones included.
    pub fn release(&self) {
        self.calls.release();
    }

    /// Batches make no progress until [`Ai::release_batches`].
    pub fn hold_batches(&self) {
        self.calls.lane(|lane| lane.held = true);
    }

    /// Batches are done when they are next looked at.
    pub fn release_batches(&self) {
        self.calls.lane(|lane| lane.held = false);
    }

    /// Makes `lines` calls of every batch that has not ended.
    pub fn advance_batches(&self, lines: usize) {
        self.calls.lane(|lane| lane.advance(lines));
    }

    /// Time is over for every batch that has not ended.
    pub fn expire_batches(&self) {
        self.calls.lane(Lane::expire);
    }

    /// The next batch meets `fault`.
    pub fn next_batch(&self, fault: BatchFault) {
        self.calls.lane(|lane| lane.faults.push_back(fault));
    }

    /// The next `n` uploads are answered 503.
    pub fn fail_uploads(&self, n: usize) {
        self.calls.lane(|lane| lane.failing_uploads = n);
    }

    /// Whether it has no Batch API at all.
    pub fn without_batches(&self, is_missing: bool) {
        self.calls.lane(|lane| lane.is_missing = is_missing);
    }

    /// How many batches were made.
    pub fn batches(&self) -> usize {
        self.calls.lane(|lane| lane.count())
    }

    /// How many calls of batches were made, each of which is billed.
    pub fn batched_calls(&self) -> usize {
        self.calls.lane(|lane| lane.made)
    }

    /// How many files are kept.
    pub fn files(&self) -> usize {
        self.calls.lane(|lane| lane.files.len())
    }

    /// What has happened so far.
    pub fn state(&self) -> State {
        self.calls.state()
    }

    /// Resolves once `n` generations (chats, messages, embeddings, images) have arrived since the start.
    pub async fn wait_for_calls(&self, n: usize) {
        self.wait_until(|state| state.generations() >= n).await;
    }

    /// Resolves once `condition` holds.
    pub async fn wait_until(&self, condition: impl FnMut(&State) -> bool) {
        self.calls.wait_until(condition).await;
    }
}

fn routes(calls: Calls) -> Router {
    const LARGEST_PROMPT: usize = 64 * 1024 * 1024;
    Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/images/generations", post(images::create))
        .route("/v1/moderations", post(moderations::create))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::retrieve))
        .merge(batches::routes())
        .merge(anthropic::routes())
        .layer(middleware::map_response(with_request_id))
        .merge(control::routes())
        .fallback(unknown_url)
        .layer(DefaultBodyLimit::max(LARGEST_PROMPT))
        .with_state(calls)
}

async fn with_request_id(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::try_from(unique("req_")) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn unknown_url(method: Method, uri: Uri) -> ApiError {
    ApiError::unknown_url(&method, &uri)
}

fn unique(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(rand::random::<[u8; 16]>()))
}
