//! A mail server that keeps what it receives and shows it on a web page.
#![expect(clippy::disallowed_types, reason = "these pages are for developers, who get no Problem")]

mod api;
mod command;
mod message;
mod page;
mod smtp;
mod store;
mod wire;

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinSet};

use crate::serve::{Server, serve};
use store::Store;

pub use message::Message;
pub use store::{Counters, Fault};

/// A mail server and its page, on two loopback ports; both stop when this is dropped.
#[derive(Debug)]
pub struct Mailbox {
    smtp_addr: SocketAddr,
    _smtp: JoinSet<()>,
    page: Server,
    store: Store,
}

impl Mailbox {
    /// Listens for mail on `smtp` and for readers on `http`, where port 0 means any free port.
    pub async fn start(smtp: SocketAddr, http: SocketAddr) -> io::Result<Self> {
        let store = Store::default();
        let page =
            serve(http, page::routes().merge(api::routes()).with_state(store.clone())).await?;
        let listener = TcpListener::bind(smtp).await?;
        let smtp_addr = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(smtp::serve(listener, store.clone()));
        Ok(Self { smtp_addr, _smtp: tasks, page, store })
    }

    /// Where a mail client delivers to.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.smtp_addr)
    }

    /// The page that lists the messages.
    pub fn url(&self) -> String {
        format!("http://{}", self.page.addr)
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.store.messages(None)
    }

    /// The messages delivered to `address`, oldest first.
    pub fn messages_to(&self, address: &str) -> Vec<Arc<Message>> {
        self.store.messages(Some(address))
    }

    /// Resolves with the messages to `address` once there are at least `n`.
    pub async fn wait_for(&self, address: &str, n: usize) -> Vec<Arc<Message>> {
        self.store.wait_for(address, n).await
    }

    /// Resolves once `condition` holds.
    pub async fn wait_until(&self, condition: impl FnMut(&Counters) -> bool) {
        self.store.wait_until(condition).await;
    }

    /// Forgets all messages.
    pub fn clear(&self) {
        self.store.clear();
    }

    /// The next mail that no earlier fault is waiting for meets `fault`.
    pub fn next(&self, fault: Fault) {
        self.next_n(1, fault);
    }

    /// The next `n` mails meet `fault`.
    pub fn next_n(&self, n: usize, fault: Fault) {
        self.store.queue(n, fault);
    }

    /// Lets hanging deliveries go on.
    pub fn release(&self) {
        self.store.release();
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.store.counters()
    }
}
