use std::time::Instant;

use anyhow::ensure;
use chrono::TimeDelta;
use futures::{StreamExt, stream};
use jobs::Lease;
use serde_json::Value;
use web::Problem;

use crate::{
    Handler, OrgJobs, Progress,
    claim::{Claimed, Held, Pending},
    progress::cancelled_problem,
};

/// How often an item is tried whose failures are said to pass.
const MOST_TRIES: i16 = 5;
/// The first pause before that; each is four times as long as the one before.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(15);

/// How a turn of a job ended.
pub(crate) enum Turn {
    /// For good.
    Over,
    /// Something is left to do, perhaps after a pause.
    Again(Option<TimeDelta>),
}

/// What came of an item, for now.
enum Outcome {
    Ended(Result<Value, Value>),
    Again,
    /// The job was called off.
    Cancelled,
}

impl OrgJobs {
    /// Works on what is left, until the turn is over or the worker is to stop.
    pub(crate) async fn work(
        &self,
        claimed: &Claimed,
        handler: &Handler,
        lease: &Lease,
    ) -> anyhow::Result<Turn> {
        let (held, until) = (claimed.held, Instant::now() + self.turn());
        let (now, later) = this_turn(held.pending(self.db.pool()).await?);
        let mut left = now.len();
        let items = now.into_iter().enumerate().take_while(|(at, _)| {
            // A turn is good for one item at least.
            !lease.is_stopping() && (*at == 0 || Instant::now() < until)
        });
        let items = items.map(|(_, item)| self.item(claimed, handler, item));
        let mut items = stream::iter(items).buffer_unordered(handler.at_once);
        let mut fewest_tries = later.iter().map(|item| item.tries).min();
        while let Some(again) = items.next().await {
            left -= 1;
            fewest_tries = fewest_tries.into_iter().chain(again?).min();
        }
        let cancelled = held.is_cancelled(self.db.pool()).await?;
        ensure!(cancelled.is_some(), "another worker has taken this job over");
        Ok(match fewest_tries {
            _ if cancelled == Some(true) => Turn::Over,
            _ if left > 0 => Turn::Again(None),
            Some(tries) => Turn::Again(Some(pause(tries))),
            None => Turn::Over,
        })
    }

    /// Works on one item. If it is to be tried again, answers how often it was tried.
    async fn item(
        &self,
        claimed: &Claimed,
        handler: &Handler,
        item: Pending,
    ) -> anyhow::Result<Option<i16>> {
        let (held, position) = (claimed.held, item.position);
        if item.begun && !handler.repeatable {
            held.end(self.db.pool(), position, Err(&outcome_unknown())).await?;
            return Ok(None);
        }
        if !held.begin(self.db.pool(), position).await? {
            return Ok(None);
        }
        let tries = item.tries + 1;
        match self.attempt(claimed, handler, item.input, tries).await {
            Outcome::Ended(outcome) => {
                let ended = held.end(self.db.pool(), position, outcome.as_ref()).await?;
                ensure!(ended, "another worker has taken this job over");
                Ok(None)
            }
            Outcome::Again => {
                held.put_off(self.db.pool(), position).await?;
                Ok(Some(tries))
            }
            Outcome::Cancelled => {
                held.put_off(self.db.pool(), position).await?;
                Ok(None)
            }
        }
    }

    async fn attempt(
        &self,
        claimed: &Claimed,
        handler: &Handler,
        input: Value,
        tries: i16,
    ) -> Outcome {
        let progress = Progress::new(self.db.clone(), claimed.held, claimed.items == 1);
        match handler.run(input, claimed.by, progress).await {
            Ok(result) => Outcome::Ended(Ok(result)),
            Err(problem) if problem.code == cancelled_problem().code => Outcome::Cancelled,
            Err(problem) if passes(&problem) && tries < MOST_TRIES => {
                log(&claimed.held, &problem);
                Outcome::Again
            }
            Err(problem) => {
                log(&claimed.held, &problem);
                Outcome::Ended(Err(problem.body(None)))
            }
        }
    }
}

/// What is to be done now, and what after a pause: that which was tried more often. What a process had begun that
/// died waits for nothing.
fn this_turn(pending: Vec<Pending>) -> (Vec<Pending>, Vec<Pending>) {
    let fewest = pending.iter().filter(|item| !item.begun).map(|item| item.tries).min();
    pending.into_iter().partition(|item| item.begun || Some(item.tries) == fewest)
}

/// Whether trying again may help, and can do no harm.
fn passes(problem: &Problem) -> bool {
    problem.is_retryable() && problem.extension("outcome").is_none()
}

fn pause(tries: i16) -> TimeDelta {
    FIRST_PAUSE * 4_i32.pow(u32::try_from(tries - 1).unwrap_or_default().min(5))
}

fn log(held: &Held, problem: &Problem) {
    let cause = problem.cause().map(|cause| format!("{cause:#}"));
    tracing::info!(job = %held.job, code = problem.code, cause, "an item of a job failed");
}

/// What an item ends with that must not be begun twice, and whose process died.
fn outcome_unknown() -> Value {
    let detail = "we lost track of this item; a call that was not answered was not charged";
    Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", detail)
        .action("Send it again in a new job.")
        .body(None)
}
