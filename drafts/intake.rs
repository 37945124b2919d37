use std::{mem, sync::Arc};

use chrono::{DateTime, Utc};
use db::Db;
use jobs::enqueue_all;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result, apply::ApplyStripeEvent, event::NewEvent};

/// How many events one commit may carry.
const BATCH: usize = 128;

/// How many may wait before those who send them are held back.
const QUEUE: usize = 1024;

/// An event on its way into the inbox.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) event: NewEvent,
    /// As it was signed.
    pub(crate) body: String,
    pub(crate) at: DateTime<Utc>,
}

/// Whoever waits to hear that an event is stored.
type Waiting = (Arrived, oneshot::Sender<Result<(), Arc<sqlx::Error>>>);

/// Group commit: the events that arrive while a commit is under way share the next one. One that comes
/// alone is stored alone and at once.
#[derive(Clone, Debug)]
pub(crate) struct Intake(mpsc::Sender<Waiting>);

impl Intake {
    pub(crate) fn new(db: Db, live: bool) -> Self {
        let (queue, mut incoming) = mpsc::channel::<Waiting>(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while incoming.recv_many(&mut batch, BATCH).await > 0 {
                let (arrived, senders): (Vec<_>, Vec<_>) = mem::take(&mut batch).into_iter().unzip();
                let stored = store(&db, arrived, live).await.map_err(Arc::new);
                for sender in senders {
                    // Who hung up will send it again.
                    let _ = sender.send(stored.clone());
                }
            }
        });
        Self(queue)
    }

    /// Puts an event into the inbox, durably, and queues what follows from it.
    pub(crate) async fn store(&self, arrived: Arrived) -> Result<()> {
        let (sender, stored) = oneshot::channel();
        let sent = self.0.send((arrived, sender)).await;
        sent.map_err(|_| Error::Database(sqlx::Error::WorkerCrashed))?;
        let stored = stored.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        stored.map_err(Error::NotStored)
    }
}

/// All of them in one commit, or none.
async fn store(db: &Db, mut arrived: Vec<Arrived>, live: bool) -> sqlx::Result<()> {
    // In one order everywhere, so that two instances never wait for each other; an event that came twice
    // is one.
    arrived.sort_by(|one, other| one.event.id().cmp(other.event.id()));
    arrived.dedup_by(|one, other| one.event.id() == other.event.id());
    let mut tx = db.begin().await?;
    let waiting = NewEvent::receive(&mut tx, &arrived, live).await?;
    let jobs: Vec<_> = waiting
        .into_iter()
        .map(|id| (format!("billing.apply_stripe_event:{id}"), ApplyStripeEvent { id }))
        .collect();
    enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await
}
