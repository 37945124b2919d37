use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result};

/// How many requests one commit may carry.
const BATCH: usize = 256;
/// How many may wait before callers are held back.
const QUEUE: usize = 4096;

/// Group commit: whatever queued while the last batch was being committed forms the next one.
///
/// There is no timer, so a request that comes alone is handled alone and at once, and the busier
/// the system the more requests share a commit.
#[derive(Debug)]
pub(crate) struct Batcher<I, O> {
    queue: mpsc::Sender<(I, oneshot::Sender<Result<O>>)>,
}

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<I, O> Batcher<I, O>
where
    I: Clone + Send + 'static,
    O: Send + 'static,
{
    /// Handles batches with `work`, which answers each item in turn, or fails for the whole batch
    /// and then leaves no trace.
    pub(crate) fn spawn<F>(work: impl Fn(Vec<I>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = sqlx::Result<Vec<O>>> + Send,
    {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                run(&work, std::mem::take(&mut batch)).await;
            }
        });
        Self { queue }
    }

    /// Hands `item` in and waits for its own answer.
    pub(crate) async fn submit(&self, item: I) -> Result<O> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((item, answer)).await.map_err(|_| Error::ShuttingDown)?;
        answered.await.map_err(|_| Error::ShuttingDown)?
    }
}

/// Answers a batch; if it fails as a whole, tries each item alone, so that no request is refused
/// because of another.
async fn run<I, O, F>(work: &impl Fn(Vec<I>) -> F, batch: Vec<(I, oneshot::Sender<Result<O>>)>)
where
    I: Clone,
    F: Future<Output = sqlx::Result<Vec<O>>>,
{
    let (items, answers): (Vec<I>, Vec<_>) = batch.into_iter().unzip();
    let alone = items.len() == 1;
    match attempt(work, items.clone()).await {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                // Nobody waits for it any more: the task was ended with its process.
                let _ = answer.send(Ok(result));
            }
        }
        Err(error) if alone || (db::is_outage(&error) && !is_panic(&error)) => {
            let error = Arc::new(error);
            for answer in answers {
                let _ = answer.send(Err(Error::Database(error.clone())));
            }
        }
        Err(_) => {
            for (item, answer) in items.into_iter().zip(answers) {
                let result = attempt(work, vec![item]).await.map_err(Error::from);
                let result = result.and_then(|mut all| all.pop().ok_or(Error::ShuttingDown));
                let _ = answer.send(result);
            }
        }
    }
}

/// Tries once more where Postgres asks for that, and turns a panic into an error: it must not take
/// the batcher, and with it every later call, down.
async fn attempt<I, O, F>(work: &impl Fn(Vec<I>) -> F, items: Vec<I>) -> sqlx::Result<Vec<O>>
where
    I: Clone,
    F: Future<Output = sqlx::Result<Vec<O>>>,
{
    let once = async |items| {
        let worked = AssertUnwindSafe(work(items)).catch_unwind().await;
        worked.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    };
    match once(items.clone()).await {
        Err(error) if db::is_conflict(&error) => once(items).await,
        result => result,
    }
}

fn is_panic(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::WorkerCrashed)
}
