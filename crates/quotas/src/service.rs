use chrono::TimeDelta;
use db::Db;
use kernel::{Clock, Id, NanoUsd};

use crate::{
    Call, Config, Error, Hold, Kind, NewBudget, Period, Refusal, Result, Scope, Unit,
    batcher::Batcher,
    decision::credits_for,
    reap::reap_all,
    reserve::{Terms, reserve_all},
    settle::{Settlement, Used, settle_all},
};

/// Reservations and settlements, gathered into few commits.
#[derive(Clone, Debug)]
pub struct Quotas {
    db: Db,
    clock: Clock,
    terms: Terms,
    reserving: Batcher<Call, std::result::Result<Hold, Refusal>>,
    settling: Batcher<Settlement, bool>,
}

impl Quotas {
    /// Starts the two batchers. They end when the last clone is dropped.
    pub fn start(db: Db, clock: Clock, config: &Config) -> Self {
        let terms = Terms {
            credit_covers: config.credit_covers(),
            life: TimeDelta::seconds(i64::from(config.ai_hold_seconds)),
        };
        let reserving = {
            let (db, clock) = (db.clone(), clock.clone());
            Batcher::spawn(move |calls| {
                let (db, now) = (db.clone(), clock.now());
                async move { reserve_all(&db, terms, now, calls).await }
            })
        };
        let settling = {
            let (db, clock) = (db.clone(), clock.clone());
            Batcher::spawn(move |settlements| {
                let (db, now) = (db.clone(), clock.now());
                async move { settle_all(&db, now, settlements).await }
            })
        };
        Self { db, clock, terms, reserving, settling }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sets what the platform as a whole may spend.
    pub async fn set_platform_budget(&self, config: &Config) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let amounts = [
            (Period::Day, config.ai_budget_per_day_usd),
            (Period::Month, config.ai_budget_per_month_usd),
        ];
        for (period, dollars) in amounts {
            let budget = NewBudget {
                scope: Scope::Global,
                org: None,
                subject: None,
                kind: Kind::Limit,
                period,
                unit: Unit::NanoUsd,
                amount: NanoUsd::from_dollars(i64::from(dollars)).0,
            };
            budget.set(&mut tx, self.clock.now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Reserves all that `call` can need. Durable when it returns; only then may the provider be
    /// called, and afterwards [`Quotas::settle`] must be.
    pub async fn reserve(&self, call: Call) -> Result<Hold> {
        let verdict = self.reserving.submit(call).await?;
        verdict.map_err(|refusal| Error::Refused { refusal, at: self.clock.now() })
    }

    /// Books what a call used; `false` if it had been ended before.
    pub async fn settle(&self, hold: Id<Hold>, used: Used) -> Result<bool> {
        self.settling.submit(Settlement { hold, used: Some(used) }).await
    }

    /// Gives everything back: the provider billed nothing.
    pub async fn release(&self, hold: Id<Hold>) -> Result<bool> {
        self.settling.submit(Settlement { hold, used: None }).await
    }

    /// Ends a call of which we will never learn what the provider did: the customer gets everything
    /// back and the platform bears what was reserved.
    pub async fn give_up(&self, hold: &Hold) -> Result<bool> {
        self.settle(hold.id, Used::unknown(hold.call.max_cost)).await
    }

    /// How long a reservation lives; its call must have ended by then.
    pub fn hold_life(&self) -> std::time::Duration {
        self.terms.life.to_std().unwrap_or_default()
    }

    /// How many credits a call that turned out to cost `cost` draws.
    pub fn credits_for(&self, per_call: i64, cost: NanoUsd) -> i64 {
        credits_for(per_call, cost, self.terms.credit_covers)
    }

    /// Ends the calls that nobody settled in time; answers how many.
    pub async fn reap(&self) -> Result<usize> {
        Ok(reap_all(&self.db, self.clock.now()).await?)
    }
}
