//! Resend: takes mails through its API, once per idempotency key, tells about them by signed webhooks,
//! and misbehaves on request.
#![expect(
    clippy::disallowed_types,
    reason = "a provider answers in its own shapes, not with a Problem"
)]

mod api;
mod control;
mod event;
mod fault;
mod refusal;
mod store;

use std::{io, net::SocketAddr};

use crate::serve::{Server, serve};
use store::Store;

pub use event::{Bounce, Signed, Tells};
pub use fault::Fault;
pub use store::{Mail, Tag};

/// The secret that webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_c2ltdWxhdG9yIG9mIHJlc2VuZCwgMzIgYnl0ZXMuLi4=";

/// Resend on loopback; it stops listening when this is dropped.
#[derive(Debug)]
pub struct Resend {
    server: Server,
    store: Store,
}

impl Resend {
    /// Listens on `addr`, where port 0 means any free port.
    pub async fn start(addr: SocketAddr) -> io::Result<Self> {
        let store = Store::default();
        let routes = api::routes().merge(control::routes()).with_state(store.clone());
        Ok(Self { server: serve(addr, routes).await?, store })
    }

    /// The API.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// The mails that it took, in order; one sent twice under a key is one.
    pub fn mails(&self) -> Vec<Mail> {
        self.store.mails()
    }

    /// How many requests to send a mail have arrived.
    pub fn requests(&self) -> usize {
        self.store.requests()
    }

    /// The idempotency keys of those requests, in order.
    pub fn keys(&self) -> Vec<String> {
        self.store.keys()
    }

    /// The next request to send a mail meets `fault`.
    pub fn next(&self, fault: Fault) {
        self.next_n(1, fault);
    }

    /// The next `n` meet it.
    pub fn next_n(&self, n: usize, fault: Fault) {
        self.store.misbehave(n, fault);
    }

    /// Lets hanging requests go on.
    pub fn release(&self) {
        self.store.release();
    }

    /// What it tells about a mail, signed at `now` (seconds since 1970) as one message with an id of its
    /// own.
    pub fn tell(&self, mail: &Mail, what: Tells, now: i64) -> Signed {
        Signed::new(mail, what, now)
    }
}
