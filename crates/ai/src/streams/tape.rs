use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderMap;
use bytes::Bytes;
use futures::{Stream, stream};
use kernel::Id;
use moka::future::Cache;
use quotas::{Call, Hold};
use tokio::sync::Notify;

use crate::{Dialect, asked::CalledBy};

/// How long a stream may be joined after its end.
const KEPT: Duration = Duration::from_mins(1);
/// The longest stream that may be joined.
const LARGEST: usize = 4 * 1024 * 1024;
/// How much memory the running ones may take together, and the ended ones.
const CAPACITY: usize = 64 * 1024 * 1024;

/// The streams that this instance tells, and those that ended a minute ago at most.
///
/// What is kept are the very bytes that the client was sent, so that a stream that nobody joins costs
/// no copy.
#[derive(Debug)]
pub(crate) struct Streams {
    running: Mutex<HashMap<Id<Hold>, Arc<Recorded>>>,
    ended: Cache<Id<Hold>, Arc<Recorded>>,
    /// The bytes of the running ones.
    size: Arc<AtomicUsize>,
}

/// A stream, as its client was sent it.
#[derive(Debug)]
pub(crate) struct Recorded {
    call: Id<Hold>,
    by: CalledBy,
    /// In whose words the client was answered.
    pub(crate) dialect: Dialect,
    pub(crate) headers: HeaderMap,
    tape: Mutex<Tape>,
    more: Notify,
    all: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Tape {
    /// Whole events each.
    blocks: Vec<Bytes>,
    size: usize,
    ended: bool,
    /// It grew too long to be kept.
    lost: bool,
}

impl Default for Streams {
    fn default() -> Self {
        let weight =
            |_: &Id<Hold>, it: &Arc<Recorded>| u32::try_from(it.size()).unwrap_or(u32::MAX);
        let ended =
            Cache::builder().max_capacity(CAPACITY as u64).weigher(weight).time_to_live(KEPT);
        Self { running: Mutex::default(), ended: ended.build(), size: Arc::default() }
    }
}

impl Streams {
    /// Begins to keep the stream of a call.
    pub(crate) fn open(&self, hold: &Hold, dialect: Dialect, headers: HeaderMap) -> Arc<Recorded> {
        let recorded = Arc::new(Recorded {
            call: hold.id,
            by: caller(&hold.call),
            dialect,
            headers,
            tape: Mutex::default(),
            more: Notify::new(),
            all: self.size.clone(),
        });
        locked(&self.running).insert(hold.id, recorded.clone());
        recorded
    }

    /// It has ended.
    pub(crate) async fn close(&self, recorded: &Arc<Recorded>) {
        let lost = {
            let mut tape = locked(&recorded.tape);
            tape.ended = true;
            recorded.all.fetch_sub(tape.size, Ordering::Relaxed);
            tape.lost
        };
        recorded.more.notify_waiters();
        if !lost {
            self.ended.insert(recorded.call, recorded.clone()).await;
        }
        locked(&self.running).remove(&recorded.call);
    }

    /// The stream of that call, if the same caller made it.
    pub(crate) async fn find(&self, call: Id<Hold>, by: CalledBy) -> Option<Arc<Recorded>> {
        let running = locked(&self.running).get(&call).cloned();
        let found = match running {
            None => self.ended.get(&call).await,
            running => running,
        };
        found.filter(|it| it.is_of(by) && !locked(&it.tape).lost)
    }
}

impl Recorded {
    /// Keeps a block that is sent to the client.
    pub(crate) fn push(&self, block: &Bytes) {
        let mut tape = locked(&self.tape);
        if tape.lost {
            return;
        }
        let all = self.all.fetch_add(block.len(), Ordering::Relaxed) + block.len();
        tape.size += block.len();
        if tape.size > LARGEST || all > CAPACITY {
            self.all.fetch_sub(tape.size, Ordering::Relaxed);
            *tape = Tape { lost: true, ..Tape::default() };
        } else {
            tape.blocks.push(block.clone());
        }
        drop(tape);
        self.more.notify_waiters();
    }

    /// All blocks, to the end of the stream; broken off if it grew too long.
    pub(crate) fn tell(self: Arc<Self>) -> impl Stream<Item = Bytes> + Send {
        stream::unfold((self, 0), async |(recorded, at)| {
            loop {
                // Listening begins before looking, so that nothing comes in between.
                let more = recorded.more.notified();
                let next = {
                    let tape = locked(&recorded.tape);
                    let over = tape.ended || tape.lost;
                    tape.blocks.get(at).cloned().ok_or(over)
                };
                match next {
                    Ok(block) => {
                        drop(more);
                        return Some((block, (recorded, at + 1)));
                    }
                    Err(true) => return None,
                    Err(false) => more.await,
                }
            }
        })
    }

    fn is_of(&self, by: CalledBy) -> bool {
        let CalledBy { org, user, api_key, .. } = self.by;
        (org, user, api_key) == (by.org, by.user, by.api_key)
    }

    fn size(&self) -> usize {
        locked(&self.tape).size
    }
}

fn caller(call: &Call) -> CalledBy {
    let Call { org, user, api_key, .. } = *call;
    CalledBy { org, user, api_key, tier: web::Tier::default() }
}

/// What is locked is whole after every step, also if somebody panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
