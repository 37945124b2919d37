use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    Error, Hold, Refusal,
    batch::Batch,
    book::differing,
    decision::Books,
    desk::Desk,
    request::{Request, Reserve, Settle},
    target::Target,
};

/// Requests that are handled together.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) settles: Vec<Settle>,
    pub(crate) reserves: Vec<Reserve>,
}

/// How an attempt at some work ended.
pub(crate) enum Attempt {
    /// It is written; these requests are left over, as there was no picture to decide them on, or
    /// they were refused by one that may be old.
    Written(Work),
    /// Nothing is written: this differs from its picture.
    Differs(Work, Uuid),
    /// Nothing is written, Postgres says.
    Failed(Work, sqlx::Error),
    /// It is not known whether it is written; settlements take back what may have been reserved.
    Lost(Work, sqlx::Error),
}

impl From<Vec<Request>> for Work {
    fn from(requests: Vec<Request>) -> Self {
        let mut work = Self::default();
        for request in requests {
            match request {
                Request::Settle(it) => work.settles.push(it),
                Request::Reserve(it) => work.reserves.push(it),
            }
        }
        work
    }
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.settles.is_empty() && self.reserves.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.settles.len() + self.reserves.len()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.settles.extend(more.settles);
        self.reserves.extend(more.reserves);
    }

    pub(crate) fn into_requests(self) -> impl Iterator<Item = Request> {
        let settles = self.settles.into_iter().map(Request::Settle);
        settles.chain(self.reserves.into_iter().map(Request::Reserve))
    }

    /// Decides on `books` and writes all that may be, in one round trip. Refusals are answered only
    /// if the books are `fresh`: read after the calls were made.
    pub(crate) async fn attempt(
        self,
        books: &mut Books,
        desk: &Desk,
        fresh: bool,
        target: Target,
    ) -> Attempt {
        let now = desk.clock.now();
        let mut batch = Batch::new(books, desk.terms, now);
        let (mut booked, mut left) = (Vec::new(), Self::default());
        for settle in self.settles {
            if batch.settle(&settle.settlement) {
                booked.push(settle);
            } else {
                left.settles.push(settle);
            }
        }
        let mut decided: Vec<(Reserve, Result<Hold, Refusal>)> = Vec::new();
        for reserve in self.reserves {
            match batch.reserve(reserve.id, &reserve.call, reserve.until) {
                Some(Ok(hold)) => decided.push((reserve, Ok(hold))),
                Some(Err(refusal)) if fresh => decided.push((reserve, Err(refusal))),
                Some(Err(_)) | None => left.reserves.push(reserve),
            }
        }
        let rows = batch.rows();
        let written = if rows.is_empty() { Ok(HashMap::new()) } else { target.write(&rows).await };
        batch.conclude(written.as_ref().ok());
        match written {
            Ok(_) => {
                for settle in booked {
                    settle.done(true);
                }
                for (reserve, verdict) in decided {
                    let verdict = verdict.map_err(|refusal| Error::Refused { refusal, at: now });
                    if let Err(Ok(unwanted)) = reserve.answer.send(verdict) {
                        left.settles.push(desk.release(&unwanted));
                    }
                }
                Attempt::Written(left)
            }
            Err(error) => {
                left.settles.extend(booked);
                if let Some(what) = differing(&error) {
                    left.reserves.extend(decided.into_iter().map(|(reserve, _)| reserve));
                    return Attempt::Differs(left, what);
                }
                if error.as_database_error().is_some() {
                    left.reserves.extend(decided.into_iter().map(|(reserve, _)| reserve));
                    return Attempt::Failed(left, error);
                }
                for (reserve, verdict) in decided {
                    left.settles.extend(verdict.iter().map(|hold| desk.release(hold)));
                    left.reserves.push(reserve);
                }
                Attempt::Lost(left, error)
            }
        }
    }
}
