use std::sync::{Arc, OnceLock};

use backon::{ExponentialBuilder, Retryable};
use db::Db;
use kernel::{Id, NanoUsd};
use quotas::Hold;
use tokio::sync::mpsc;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use usage::{CachedAnswer, Price, Quantities, record_cached};

use crate::booking::Booked;

/// How many are written at once.
const BATCH: usize = 256;
/// How many may wait. More are not written down, since the books do not need them.
const QUEUE: usize = 4096;

/// Writes down what the response cache answered. It costs nothing, so nothing is reserved for it and
/// nobody waits for it: whatever queued while a batch was written is the next one.
#[derive(Debug)]
pub(crate) struct Hits {
    queue: mpsc::Sender<Hit>,
    pending: TaskTracker,
}

type Hit = (CachedAnswer, TaskTrackerToken);

impl Hits {
    /// Writes to `db` until it is dropped.
    pub(crate) fn start(db: Db) -> Self {
        let pending = TaskTracker::new();
        pending.close();
        let (queue, mut incoming) = mpsc::channel::<Hit>(QUEUE);
        tokio::spawn(async move {
            let mut hits = Vec::with_capacity(BATCH);
            while incoming.recv_many(&mut hits, BATCH).await > 0 {
                let (answers, tokens): (Vec<_>, Vec<_>) = hits.drain(..).unzip();
                write(&db, &answers).await;
                drop(tokens);
            }
        });
        Self { queue, pending }
    }

    /// Writes `answer` down soon.
    pub(crate) fn record(&self, answer: CachedAnswer) {
        if self.queue.try_send((answer, self.pending.token())).is_err() {
            metrics::counter!("ai_cache_unrecorded_total").increment(1);
        }
    }

    /// Waits until all are written.
    pub(crate) async fn written(&self) {
        self.pending.wait().await;
    }
}

async fn write(db: &Db, answers: &[CachedAnswer]) {
    let backoff = ExponentialBuilder::default().with_max_times(5).with_jitter();
    let written = (|| record_cached(db.pool(), answers)).retry(backoff).await;
    if let Err(error) = written {
        tracing::warn!(%error, lost = answers.len(), "answers from the cache were not recorded");
    }
}

/// Takes note of what a call used, for the cache that keeps its answer: of a stream this is only
/// known when it has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipt(Arc<OnceLock<Paid>>);

/// A call that was booked.
#[derive(Clone, Debug)]
pub(crate) struct Paid {
    pub(crate) operation: &'static str,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) price: Id<Price>,
    pub(crate) quantities: Quantities,
    pub(crate) cost: NanoUsd,
}

impl Receipt {
    pub(crate) fn fill(&self, hold: &Hold, booked: &Booked) {
        let call = &hold.call;
        let (quantities, cost) = (booked.quantities, booked.cost);
        let (provider, model) = (call.provider.clone(), call.model.clone());
        let (operation, price) = (call.operation, call.price.id);
        // A call is booked once.
        let _ = self.0.set(Paid { operation, provider, model, price, quantities, cost });
    }

    pub(crate) fn paid(&self) -> Option<&Paid> {
        self.0.get()
    }
}
