use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use simulators::stripe::{Delivery, Fault, Trouble};
use testing::{Client, TestApp};
use tokio::time::timeout;

use super::{ORGS, deeds, dice::Dice, local};
use crate::support::upkeep;

/// How many times something is done before the books are compared; about six per org.
const STEPS: u64 = 6 * ORGS;

/// A product with its Stripe, and orgs that use them.
pub(super) struct World {
    pub(super) app: TestApp,
    pub(super) dice: Dice,
    pub(super) orgs: Vec<Client>,
}

impl World {
    pub(super) async fn begin(dice: Dice) -> Self {
        let app = TestApp::start().await;
        // Events wait until this test delivers them.
        app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
        let mut orgs = Vec::new();
        for _ in 0..ORGS {
            let owner = app.owner().await;
            let key = owner.post("/v1/api-keys", json!({ "name": "months" })).await.ok();
            orgs.push(owner.with_key(key["secret"].as_str().expect("a key")));
        }
        Self { app, dice, orgs }
    }

    /// Some months, then peace: everything arrives, and nothing fails.
    pub(super) async fn live(&mut self) {
        for _ in 0..STEPS {
            let fails = self.dice.chance(10);
            if fails {
                self.fail();
            }
            deeds::something(self).await;
            self.deliver(60).await;
            self.work().await;
            if fails {
                self.app.simulators.stripe.heal();
            }
            if self.dice.chance(40) {
                let days = self.dice.below(8);
                self.pass(days).await;
            }
        }
        self.pass(1).await;
        self.settle().await;
    }

    /// Stripe has trouble with the next calls, fewer than are tried.
    fn fail(&mut self) {
        let all = [
            Trouble::Status { status: 500 },
            Trouble::Status { status: 429 },
            Trouble::Status { status: 409 },
            Trouble::Reset,
            Trouble::Garbage,
            Trouble::DropAnswer,
        ];
        let trouble = *self.dice.one_of(&all);
        let times = if self.dice.chance(70) { 1 } else { 4 };
        self.app.simulators.stripe.fail(Fault { path: String::new(), times, trouble });
    }

    /// Lets days go by, with everything that falls due at Stripe, which tries to deliver for three days.
    pub(super) async fn pass(&mut self, days: i64) {
        if days > 2 {
            self.deliver(100).await;
            self.work().await;
        }
        self.app.advance(TimeDelta::hours(24 * days + 1));
        let now = self.app.clock.now().timestamp();
        self.app.simulators.stripe.live_until(now).expect("time goes by");
        self.deliver(50).await;
        self.work().await;
        // What happens every ten minutes: grace ends without any news from Stripe.
        upkeep(&self.app).await;
    }

    /// Delivers so many of a hundred events that nobody took yet, in any order, some of them more than once.
    async fn deliver(&mut self, percent: u32) {
        let mut events = self.app.simulators.stripe.undelivered();
        self.dice.shuffle(&mut events);
        for event in events {
            if !self.dice.chance(percent) {
                continue;
            }
            let copies = if self.dice.chance(80) { 1 } else { 3 };
            let delivered = self.app.simulators.stripe.redeliver(&event, copies, true).await;
            delivered.expect("an event that exists");
        }
    }

    /// Does the jobs that are due; sometimes the process dies over them, and another one takes over.
    async fn work(&mut self) {
        if self.dice.chance(25) {
            let until = Duration::from_micros(self.dice.below(60_000).unsigned_abs());
            // Dropped wherever it is then: its transaction rolls back, its call to Stripe may have been heard.
            let _ = timeout(until, self.app.run_jobs()).await;
        }
        self.take_over().await;
        self.app.run_jobs().await;
    }

    /// Frees what a dead process held, and does not wait with what failed.
    async fn take_over(&self) {
        sqlx::query(
            "update graphile_worker._private_jobs
             set locked_at = null, locked_by = null, run_at = least(run_at, now())",
        )
        .execute(self.app.db.pool())
        .await
        .expect("free the jobs");
    }

    async fn settle(&mut self) {
        self.app.simulators.stripe.heal();
        for _ in 0..20 {
            self.deliver(100).await;
            self.take_over().await;
            self.app.run_jobs().await;
            if self.app.simulators.stripe.undelivered().is_empty() && self.waiting().await == 0 {
                return self.reconcile().await;
            }
        }
        panic!("events still wait to be applied");
    }

    /// What happens every night; a second one finds nothing any more.
    async fn reconcile(&self) {
        let operator = self.app.operator().await;
        let path = "/admin/v1/billing/reconciliations";
        operator.post(path, json!({})).await.ok();
        self.app.run_jobs().await;
        let report = operator.post(path, json!({})).await.ok();
        assert_eq!(report["findings"], json!([]), "{report}");
    }

    async fn waiting(&self) -> i64 {
        sqlx::query_scalar("select count(*) from stripe_events where handled_at is null")
            .fetch_one(self.app.db.pool())
            .await
            .expect("read the inbox")
    }

    /// Where our books are not what the reference computes from Stripe's objects.
    pub(super) async fn differences(&self) -> Vec<String> {
        self.app.assert_books_balance().await;
        local::differences(self).await
    }
}
