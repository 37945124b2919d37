//! A customer's program that is told what happens: it takes whatever is posted to any of its addresses,
//! keeps it, and shows it.
#![expect(clippy::disallowed_types, reason = "this is for developers, who get no Problem")]

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State as Extract,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::sync::watch;

use crate::serve::{Server, serve};

const CAPACITY: usize = 20_000;

/// The program; it stops when this is dropped.
#[derive(Debug)]
pub struct Sink {
    server: Server,
    store: Store,
}

/// Something that was posted.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// To which address.
    pub path: String,
    /// The headers that say what it is.
    pub headers: HashMap<String, String>,
    /// The body, to the byte.
    pub body: String,
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

#[derive(Debug, Default)]
struct State {
    received: VecDeque<Arc<Received>>,
    replies: HashMap<String, Reply>,
    held: HashSet<String>,
}

type Store = watch::Sender<State>;

impl Sink {
    /// Listens on `addr`, where port 0 means any free port.
    pub async fn start(addr: SocketAddr) -> io::Result<Self> {
        let store = Store::default();
        let router = Router::new().route("/", get(show)).fallback(take).with_state(store.clone());
        Ok(Self { server: serve(addr, router).await?, store })
    }

    /// Where it listens, and shows what it received.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// What was posted to `path`, in order.
    pub fn received(&self, path: &str) -> Vec<Arc<Received>> {
        self.store.borrow().received(path)
    }

    /// Resolves with what was posted to `path` once that is at least `n`.
    pub async fn wait_for(&self, path: &str, n: usize) -> Vec<Arc<Received>> {
        let mut state = self.store.subscribe();
        let enough = |state: &State| state.received(path).len() >= n;
        match state.wait_for(enough).await {
            Ok(state) => state.received(path),
            Err(_) => unreachable!("the sender lives as long as self"),
        }
    }

    /// From now on, `path` answers with `status`.
    pub fn reply(&self, path: &str, status: u16) {
        self.reply_with(path, Reply { status, headers: vec![], body: "said the sink".into() });
    }

    /// From now on, `path` answers so.
    pub fn reply_with(&self, path: &str, reply: Reply) {
        self.store.send_modify(|state| {
            state.replies.insert(path.to_owned(), reply);
        });
    }

    /// From now on, `path` takes what comes but does not answer.
    pub fn hold(&self, path: &str) {
        self.store.send_modify(|state| {
            state.held.insert(path.to_owned());
        });
    }

    /// Lets `path` answer.
    pub fn release(&self, path: &str) {
        self.store.send_modify(|state| {
            state.held.remove(path);
        });
    }
}

impl State {
    fn received(&self, path: &str) -> Vec<Arc<Received>> {
        self.received.iter().filter(|it| it.path == path).cloned().collect()
    }
}

async fn show(Extract(store): Extract<Store>) -> Json<Vec<Received>> {
    let received: Vec<_> = store.borrow().received.iter().cloned().collect();
    Json(received.into_iter().map(Arc::unwrap_or_clone).collect())
}

async fn take(
    Extract(store): Extract<Store>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let received = Received {
        path: path.clone(),
        headers: headers.iter().map(text).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    store.send_modify(|state| {
        if state.received.len() == CAPACITY {
            state.received.pop_front();
        }
        state.received.push_back(Arc::new(received));
    });
    // The sender is in the state of this very handler, so the wait cannot fail.
    let _ = store.subscribe().wait_for(|state| !state.held.contains(&path)).await;
    let reply = store.borrow().replies.get(&path).cloned();
    let Some(Reply { status, headers, body }) = reply else {
        return "taken".into_response();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
