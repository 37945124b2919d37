use std::time::Duration;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{Call, Error, Hold, Result, settle::Settlement};

/// How often a settlement that nobody waits for is tried again. What cannot be booked by then is left
/// to the reaper, so that neither the customer pays for it nor the platform forgets it.
const ATTEMPTS: u32 = 10;

/// Something that wants to be in the next commit.
#[derive(Debug)]
pub(crate) enum Request {
    Reserve(Reserve),
    Settle(Settle),
}

/// A call that wants to start.
#[derive(Debug)]
pub(crate) struct Reserve {
    /// Chosen before anything is written, so that a lost answer can be taken back.
    pub(crate) id: Id<Hold>,
    pub(crate) call: Call,
    /// When it ends, unless it is settled before; `None`: after the usual life.
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) answer: oneshot::Sender<Result<Hold>>,
}

/// A call that has ended.
#[derive(Debug)]
pub(crate) struct Settle {
    pub(crate) settlement: Settlement,
    pub(crate) answer: Answer,
}

/// Who wants to know when a settlement is booked.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Somebody waits.
    Now(oneshot::Sender<Result<bool>>),
    /// Nobody waits: it is tried again, and may wait for company.
    Soon { attempt: u32, pending: TaskTrackerToken },
}

impl Request {
    pub(crate) fn org(&self) -> Id<Org> {
        match self {
            Self::Reserve(it) => it.call.org,
            Self::Settle(it) => it.settlement.call.org,
        }
    }

    /// Answers that it failed; the request itself, if it is to be tried again after a while.
    pub(crate) fn fail(self, error: &Error) -> Option<(Duration, Self)> {
        match self {
            Self::Reserve(it) => {
                // Nobody may be waiting any more, here and below.
                let _ = it.answer.send(Err(error.clone()));
            }
            Self::Settle(Settle { answer: Answer::Now(answer), .. }) => {
                let _ = answer.send(Err(error.clone()));
            }
            Self::Settle(Settle { settlement, answer: Answer::Soon { attempt, pending } }) => {
                if attempt < ATTEMPTS {
                    let wait = Duration::from_millis(50) * 2_u32.pow(attempt);
                    let answer = Answer::Soon { attempt: attempt + 1, pending };
                    return Some((wait, Self::Settle(Settle { settlement, answer })));
                }
                tracing::error!(%error, hold = %settlement.call.id, "a call could not be settled");
            }
        }
        None
    }
}

impl Settle {
    /// Whether nobody waits for it.
    pub(crate) fn may_linger(&self) -> bool {
        matches!(self.answer, Answer::Soon { .. })
    }

    /// Answers whether the call was still open.
    pub(crate) fn done(self, open: bool) {
        match self.answer {
            Answer::Now(answer) => {
                let _ = answer.send(Ok(open));
            }
            Answer::Soon { .. } if open => {}
            Answer::Soon { .. } => {
                let hold = self.settlement.call.id;
                tracing::warn!(%hold, "a call was settled after it had been given up");
            }
        }
    }
}
