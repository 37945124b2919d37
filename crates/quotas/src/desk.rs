use db::Db;
use kernel::Clock;
use tokio_util::task::TaskTracker;

use crate::{
    Hold,
    request::{Answer, Settle},
    settle::Settlement,
    terms::Terms,
};

/// What everybody who works on the books needs.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) terms: Terms,
    /// Settlements that nobody waits for and that are not booked yet. Always closed, so that it can
    /// be waited for at any time.
    pub(crate) pending: TaskTracker,
}

impl Desk {
    /// Gives back what a call reserved that nobody will make.
    pub(crate) fn release(&self, hold: &Hold) -> Settle {
        let settlement = Settlement { call: hold.into(), used: None, if_expired_at: None };
        Settle { settlement, answer: self.soon() }
    }

    /// Nobody waits for the answer.
    pub(crate) fn soon(&self) -> Answer {
        Answer::Soon { attempt: 0, pending: self.pending.token() }
    }
}
