use chrono::{DateTime, Utc};
use db::Db;
use kernel::{Clock, Id, NanoUsd};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::{
    Call, Config, Error, Hold, NewBudget, Period, Result, Unit,
    committer::Committer,
    decision::credits_for,
    desk::Desk,
    reap::reap_all,
    request::{Answer, Request, Reserve, Settle},
    settle::{Settlement, Used},
    terms::Terms,
};

/// Reservations and settlements, gathered into few commits.
#[derive(Clone, Debug)]
pub struct Quotas {
    desk: Desk,
    queue: mpsc::Sender<Request>,
}

impl Quotas {
    /// Starts the group commit. It ends when the last clone is dropped.
    pub fn start(db: Db, clock: Clock, config: &Config) -> Self {
        let pending = TaskTracker::new();
        pending.close();
        let desk = Desk { db, clock, terms: Terms::new(config), pending };
        Self { queue: Committer::spawn(desk.clone()), desk }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.desk.db
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.desk.clock
    }

    /// Sets what the platform as a whole may spend.
    pub async fn set_platform_budget(&self, config: &Config) -> Result<()> {
        let mut tx = self.db().begin().await?;
        let amounts = [
            (Period::Day, config.ai_budget_per_day_usd),
            (Period::Month, config.ai_budget_per_month_usd),
        ];
        for (period, dollars) in amounts {
            let amount = NanoUsd::from_dollars(i64::from(dollars)).0;
            let budget = NewBudget::limit(None, period, Unit::NanoUsd, amount);
            budget.set(&mut tx, self.clock().now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Reserves all that `call` can need. Durable when it returns; only then may the provider be
    /// called, and afterwards one of the others must be.
    pub async fn reserve(&self, call: Call) -> Result<Hold> {
        self.reserve_as(Id::new(), call, None).await
    }

    /// The same for a call that outlives this process: under an id by which [`Quotas::held`] finds it
    /// again, and until a time of its own.
    pub async fn reserve_until(
        &self,
        id: Id<Hold>,
        call: Call,
        until: DateTime<Utc>,
    ) -> Result<Hold> {
        self.reserve_as(id, call, Some(until)).await
    }

    async fn reserve_as(
        &self,
        id: Id<Hold>,
        call: Call,
        until: Option<DateTime<Utc>>,
    ) -> Result<Hold> {
        let (answer, answered) = oneshot::channel();
        self.submit(Request::Reserve(Reserve { id, call, until, answer })).await?;
        answered.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Books what a call used; `false` if it had been ended before.
    pub async fn settle(&self, hold: &Hold, used: Used) -> Result<bool> {
        self.end(settlement(hold, Some(used))).await
    }

    /// Gives everything back: the provider billed nothing.
    pub async fn release(&self, hold: &Hold) -> Result<bool> {
        self.end(settlement(hold, None)).await
    }

    /// Ends a call of which we will never learn what the provider did: the customer gets everything
    /// back and the platform bears what was reserved.
    pub async fn give_up(&self, hold: &Hold) -> Result<bool> {
        self.settle(hold, Used::unknown(hold.call.max_cost)).await
    }

    /// The same as [`Quotas::settle`] without waiting for the commit: it is tried until it is booked,
    /// for about a minute, and what cannot be is left to the reaper. Waits only while the queue is full.
    pub async fn settle_soon(&self, hold: &Hold, used: Used) {
        self.end_soon(settlement(hold, Some(used))).await;
    }

    /// The same as [`Quotas::release`] without waiting for the commit.
    pub async fn release_soon(&self, hold: &Hold) {
        self.end_soon(settlement(hold, None)).await;
    }

    /// The same as [`Quotas::give_up`] without waiting for the commit.
    pub async fn give_up_soon(&self, hold: &Hold) {
        self.settle_soon(hold, Used::unknown(hold.call.max_cost)).await;
    }

    /// Waits until every settlement that nobody waited for is booked, or was given up.
    pub async fn settled(&self) {
        self.desk.pending.wait().await;
    }

    /// Lets a long call live on: a whole life from now. `false`: it was ended, by the reaper or by
    /// whoever settled it, and can neither be renewed nor settled any more.
    pub async fn renew(&self, hold: &mut Hold) -> Result<bool> {
        let expires_at = self.clock().now() + self.desk.terms.life;
        let alive = sqlx::query!(
            "update holds set expires_at = $2 where id = $1",
            hold.id as _,
            expires_at
        )
        .execute(self.db().pool())
        .await?
        .rows_affected()
            == 1;
        if alive {
            hold.expires_at = expires_at;
        }
        Ok(alive)
    }

    /// How long a reservation lives; its call must have ended by then.
    pub fn hold_life(&self) -> std::time::Duration {
        self.desk.terms.life.to_std().unwrap_or_default()
    }

    /// How many credits a call that turned out to cost `cost` draws.
    pub fn credits_for(&self, per_call: i64, cost: NanoUsd) -> i64 {
        credits_for(per_call, cost, self.desk.terms.credit_covers)
    }

    /// Ends the calls that nobody settled in time; answers how many.
    pub async fn reap(&self) -> Result<usize> {
        reap_all(self).await
    }

    pub(crate) async fn end(&self, settlement: Settlement) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        let settle = Settle { settlement, answer: Answer::Now(answer) };
        self.submit(Request::Settle(settle)).await?;
        answered.await.map_err(|_| Error::ShuttingDown)?
    }

    async fn end_soon(&self, settlement: Settlement) {
        let settle = Settle { settlement, answer: self.desk.soon() };
        if self.submit(Request::Settle(settle)).await.is_err() {
            tracing::error!("a call ended after the books were closed; the reaper will end it");
        }
    }

    async fn submit(&self, request: Request) -> Result<()> {
        self.queue.send(request).await.map_err(|_| Error::ShuttingDown)
    }
}

fn settlement(hold: &Hold, used: Option<Used>) -> Settlement {
    Settlement { call: hold.into(), used, if_expired_at: None }
}
