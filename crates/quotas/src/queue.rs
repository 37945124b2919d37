use std::{collections::HashSet, time::Duration};

use kernel::{Id, Org};
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep_until},
};

use crate::{
    request::{Request, Settle},
    work::Work,
};

/// How many requests one commit may carry.
const BATCH: usize = 256;
/// How many may wait before callers are held back.
const QUEUE: usize = 4096;
/// How long a settlement that nobody waits for waits for company: it takes longer to write than a
/// reservation does, and a lone caller's next reservation should not wait for it.
const LINGER: Duration = Duration::from_millis(5);
/// How often a batch lets those go first who could still join it.
const CALLS: usize = 2;

/// What waits for the next commit.
///
/// A reservation that comes alone is committed alone and at once. One that comes while others are on
/// their way waits for them, for as long as the processor has nothing but them to do: their commit is
/// then shared instead of queued for.
pub(crate) struct Queue {
    incoming: mpsc::Receiver<Request>,
    received: Vec<Request>,
    /// Somebody waits for these.
    urgent: Vec<Request>,
    /// Nobody waits for these, so they need not be written before `flush_at`.
    lingering: Vec<Settle>,
    flush_at: Instant,
}

impl Queue {
    pub(crate) fn new() -> (mpsc::Sender<Request>, Self) {
        let (sender, incoming) = mpsc::channel(QUEUE);
        let queue = Self {
            incoming,
            received: Vec::with_capacity(BATCH),
            urgent: Vec::new(),
            lingering: Vec::new(),
            flush_at: Instant::now(),
        };
        (sender, queue)
    }

    pub(crate) fn push(&mut self, request: Request) {
        match request {
            Request::Settle(settle) if settle.may_linger() => {
                if self.lingering.is_empty() {
                    self.flush_at = Instant::now() + LINGER;
                }
                self.lingering.push(settle);
            }
            request => self.urgent.push(request),
        }
    }

    /// Waits until a batch is due. Asked again it goes on waiting: nothing is lost if it is dropped.
    /// `false`: there is nothing, and never will be again.
    pub(crate) async fn ready(&mut self) -> bool {
        loop {
            self.sort();
            if !self.urgent.is_empty() || self.lingering.len() >= BATCH {
                return true;
            }
            let waits = !self.lingering.is_empty();
            tokio::select! {
                received = self.incoming.recv_many(&mut self.received, BATCH) => {
                    if received == 0 {
                        return waits;
                    }
                }
                () = sleep_until(self.flush_at), if waits => return true,
            }
        }
    }

    fn sort(&mut self) {
        let mut received = std::mem::take(&mut self.received);
        received.drain(..).for_each(|request| self.push(request));
        self.received = received;
    }

    /// The next batch: all that somebody waits for, and what else their orgs have done, so that each
    /// is decided on what has been before it. The rest comes along once it has waited long enough.
    pub(crate) async fn batch(&mut self) -> Work {
        for _ in 0..CALLS {
            if self.urgent.is_empty() || self.urgent.len() >= BATCH {
                break;
            }
            yield_now().await;
            while self.urgent.len() < BATCH
                && let Ok(request) = self.incoming.try_recv()
            {
                self.push(request);
            }
        }
        let urgent = std::mem::take(&mut self.urgent);
        if urgent.is_empty() || self.lingering.len() >= BATCH || self.flush_at <= Instant::now() {
            let mut work = Work::from(urgent);
            work.settles.append(&mut self.lingering);
            return work;
        }
        let orgs: HashSet<Id<Org>> = urgent.iter().map(Request::org).collect();
        let mut work = Work::from(urgent);
        let theirs = |it: &mut Settle| orgs.contains(&it.settlement.call.org);
        work.settles.extend(self.lingering.extract_if(.., theirs));
        work
    }

    /// Takes all that lingers.
    pub(crate) fn flush(&mut self) -> Vec<Settle> {
        std::mem::take(&mut self.lingering)
    }
}
