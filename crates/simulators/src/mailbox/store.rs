use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Message;

const CAPACITY: usize = 500;

/// One way for a mail server to misbehave; one mail meets at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Every recipient is refused for good (550).
    Refuse,
    /// Every recipient is put off (451).
    Defer,
    /// The sender gets no answer until the next release.
    Hang,
    /// The mail is kept, but the connection closes before the server says so.
    CloseAfterData,
    /// The mail is kept, but the sender gets no answer until the next release.
    HangAfterData,
    /// The connection closes at once: on arrival, or if it is open already, when the mail begins.
    Close,
}

/// Everything there is to count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections that were opened.
    pub connections: usize,
    /// Mails that began.
    pub attempts: usize,
    /// Mails that were kept.
    pub deliveries: usize,
    /// Recipients that were refused or put off.
    pub refusals: usize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    messages: VecDeque<Arc<Message>>,
    counters: Counters,
    faults: VecDeque<Fault>,
    releases: u64,
}

impl State {
    fn messages(&self, to: Option<&str>) -> Vec<Arc<Message>> {
        let wanted = |message: &&Arc<Message>| to.is_none_or(|to| message.is_to(to));
        self.messages.iter().filter(wanted).cloned().collect()
    }
}

/// What the mail server fills and the page shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Store(watch::Sender<State>);

impl Store {
    pub(super) fn messages(&self, to: Option<&str>) -> Vec<Arc<Message>> {
        self.0.borrow().messages(to)
    }

    pub(super) fn message(&self, id: usize) -> Option<Arc<Message>> {
        self.0.borrow().messages.iter().find(|message| message.id == id).cloned()
    }

    pub(super) async fn wait_for(&self, address: &str, n: usize) -> Vec<Arc<Message>> {
        let mut state = self.0.subscribe();
        let enough = |state: &State| state.messages(Some(address)).len() >= n;
        match state.wait_for(|state| enough(state)).await {
            Ok(state) => state.messages(Some(address)),
            Err(_) => unreachable!("the sender lives as long as self"),
        }
    }

    pub(super) async fn wait_until(&self, mut condition: impl FnMut(&Counters) -> bool) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|state| condition(&state.counters)).await;
    }

    pub(super) fn clear(&self) {
        self.0.send_modify(|state| state.messages.clear());
    }

    /// Keeps a mail, the newest five hundred at most.
    pub(super) fn deliver(&self, envelope_from: &str, to: Vec<String>, raw: &[u8]) {
        self.0.send_modify(|state| {
            state.counters.deliveries += 1;
            let message = Message::parse(state.counters.deliveries, envelope_from, to, raw);
            if state.messages.len() == CAPACITY {
                state.messages.pop_front();
            }
            state.messages.push_back(Arc::new(message));
        });
    }

    pub(super) fn counters(&self) -> Counters {
        self.0.borrow().counters
    }

    pub(super) fn count_refusal(&self) {
        self.0.send_modify(|state| state.counters.refusals += 1);
    }

    pub(super) fn queue(&self, n: usize, fault: Fault) {
        self.0.send_modify(|state| state.faults.extend(std::iter::repeat_n(fault, n)));
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|state| state.releases += 1);
    }

    /// Counts a connection; false if it is to close at once.
    pub(super) fn connect(&self) -> bool {
        let mut welcome = true;
        self.0.send_modify(|state| {
            state.counters.connections += 1;
            welcome = state.faults.pop_front_if(|fault| *fault == Fault::Close).is_none();
        });
        welcome
    }

    /// Counts a mail that begins, and tells the fault it is to meet.
    pub(super) async fn begin(&self) -> Option<Fault> {
        let (mut fault, released) = (None, self.released());
        self.0.send_modify(|state| {
            state.counters.attempts += 1;
            fault = state.faults.pop_front();
        });
        if fault == Some(Fault::Hang) {
            released.await;
        }
        fault
    }

    /// The next release, as of now.
    pub(super) fn released(&self) -> impl Future<Output = ()> + use<> {
        let mut state = self.0.subscribe();
        let seen = state.borrow_and_update().releases;
        async move {
            let _ = state.wait_for(|state| state.releases > seen).await;
        }
    }
}
