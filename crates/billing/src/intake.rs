use std::{mem, sync::Arc};

use db::Db;
use jobs::Job;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    Billing,
    event::{Arrived, Event},
};

/// How many events one commit may carry.
const BATCH: usize = 128;

/// How many may wait before those who send them are held back.
const QUEUE: usize = 1024;

/// How many commits may be under way: while one waits for the disk, the next is prepared.
const COMMITS: usize = 2;

/// An event, and whoever waits to hear that it is stored.
type Waiting = (Arrived, oneshot::Sender<sqlx::Result<()>>);

/// The way into the inbox, by group commit: the events that arrive while a commit is under way share the
/// next one. One that comes alone is stored alone and at once.
#[derive(Clone, Debug)]
pub(crate) struct Intake(mpsc::Sender<Waiting>);

impl Intake {
    pub(crate) fn new(db: Db, live: bool) -> Self {
        let (queue, mut incoming) = mpsc::channel(QUEUE);
        let commits = Arc::new(Semaphore::new(COMMITS));
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while let Ok(commit) = Arc::clone(&commits).acquire_owned().await {
                if incoming.recv_many(&mut batch, BATCH).await == 0 {
                    break;
                }
                // A task of its own: a panic must not end the intake.
                let (db, events) = (db.clone(), mem::take(&mut batch));
                tokio::spawn(async move {
                    store(db, events, live).await;
                    drop(commit);
                });
            }
        });
        Self(queue)
    }

    /// Puts an event into the inbox, durably; what follows from it is queued soon.
    pub(crate) async fn store(&self, arrived: Arrived) -> sqlx::Result<()> {
        let (sender, stored) = oneshot::channel();
        self.0.send((arrived, sender)).await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        // Who is not answered was in a batch that met an outage.
        stored.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }
}

/// Stores all of them in one commit. If that fails because of one of them each is stored alone, so that it
/// is nobody else's failure.
async fn store(db: Db, batch: Vec<Waiting>, live: bool) {
    let events: Vec<&Arrived> = batch.iter().map(|(event, _)| event).collect();
    match commit(&db, &events, live).await {
        Ok(()) => {
            for (_, sender) in batch {
                // Who hung up will send it again.
                let _ = sender.send(Ok(()));
            }
        }
        Err(error) if db::is_outage(&error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "events were not stored");
        }
        Err(_) => {
            for (event, sender) in batch {
                let _ = sender.send(commit(&db, &[&event], live).await);
            }
        }
    }
}

/// All of them, or none.
async fn commit(db: &Db, events: &[&Arrived], live: bool) -> sqlx::Result<()> {
    // In one order everywhere, so that two instances never wait for each other; an event that came twice
    // is one.
    let mut events = events.to_vec();
    events.sort_by(|one, other| one.event.id().cmp(other.event.id()));
    events.dedup_by(|one, other| one.event.id() == other.event.id());
    Arrived::store(db.pool(), &events, live).await
}

/// How many events are queued before others get the connection.
const QUEUED: i64 = 500;

/// Queues a job for each event that was taken in. Not done by the intake itself, because it costs more than
/// storing does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QueueStripeEvents {}

impl Job for QueueStripeEvents {
    const NAME: &'static str = "billing.queue_stripe_events";
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        while billing.queue_events().await? > 0 {}
        Ok(())
    }
}

impl Billing {
    /// Queues some; answers how many.
    async fn queue_events(&self) -> sqlx::Result<usize> {
        let mut tx = self.db.begin().await?;
        let mut events = sqlx::query_scalar!(
            "update stripe_events set queued_at = $1
             where id in (select id from stripe_events
                          where queued_at is null and handled_at is null
                          order by received_at
                          limit $2
                          for update skip locked)
             returning id",
            self.clock.now(),
            QUEUED,
        )
        .fetch_all(&mut *tx)
        .await?;
        events.sort();
        Event::queue_all(&mut tx, &events).await?;
        tx.commit().await?;
        Ok(events.len())
    }
}
