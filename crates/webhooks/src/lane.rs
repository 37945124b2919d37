use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Job, Lease};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Endpoint, Webhooks,
    attempt::Wire,
    delivery::{Delivery, wake},
    health::Health,
    plan::Plan,
};

/// How long a lane goes on before it lets others have its place. Far less than jobs may take at shutdown.
const SLICE: Duration = Duration::from_secs(5);
/// When to look again if no place was free.
const SOON: TimeDelta = TimeDelta::seconds(1);
/// How long a lane stays away from a place that others want: longer than they need to look again.
const REST: TimeDelta = TimeDelta::seconds(3);

/// What a worker that is told to stop still needs to write down what was under way.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Delivers what is due at one endpoint. However many of these are queued, one at a time works.
#[derive(Serialize, Deserialize)]
pub(crate) struct Deliver {
    endpoint: Id<Endpoint>,
}

impl Job for Deliver {
    const NAME: &'static str = "webhooks.deliver";
    type Context = Webhooks;

    async fn run(self, webhooks: Webhooks) -> anyhow::Result<()> {
        let (endpoint, db) = (self.endpoint, webhooks.db.pool());
        // Gone, disabled, paused, or somebody else is at it, who looks again when he is done.
        let Some(plan) = Plan::of(db, endpoint, webhooks.clock.now()).await? else { return Ok(()) };
        // Before anything else: whoever is turned away costs no more than that look.
        let Some(place) = webhooks.room.enter(plan.slow) else {
            return Ok(wake(db, endpoint, SOON).await?);
        };
        let Some(mut lane) = webhooks.open_lane(plan).await? else {
            return Ok(wake(db, endpoint, SOON).await?);
        };
        let worked = lane.work(&webhooks).await;
        lane.close(&webhooks).await?;
        let slice_is_over = worked?;
        let rest = if slice_is_over && place.is_wanted() { REST } else { TimeDelta::zero() };
        Ok(lane.wake_again(&webhooks, rest).await?)
    }
}

/// The right to deliver to one endpoint, as it was when the lane was opened. It ends by the database's clock:
/// those of machines jump and differ, and one that was ahead would take a lane that another still works in.
pub(crate) struct Lane {
    pub(crate) endpoint: Id<Endpoint>,
    pub(crate) org: Id<Org>,
    /// Which endpoint it is open for: another URL or secret is another version.
    pub(crate) version: i64,
    token: Uuid,
    wire: Arc<Wire>,
    /// The room that it is in.
    slow: bool,
    pub(crate) health: Health,
    /// Whether the endpoint was changed, disabled or deleted on the way.
    pub(crate) ended: bool,
}

impl Webhooks {
    /// `None` if somebody else opened it first, or the endpoint is no longer as planned.
    async fn open_lane(&self, plan: Plan) -> anyhow::Result<Option<Lane>> {
        // First, as it may fail: nobody waits for a lane that was never opened.
        let wire = Arc::new(self.wire(&plan)?);
        let (token, now) = (Uuid::now_v7(), self.clock.now());
        let slice = TimeDelta::from_std(SLICE).unwrap_or_default();
        let opened = sqlx::query!(
            "update webhook_endpoints
             set lane = $2, lane_until = clock_timestamp() + $4::bigint * interval '1 millisecond'
             where id = $1 and version = $5 and disabled_at is null
               and (paused_until is null or paused_until <= $3)
               and (lane_until is null or lane_until <= clock_timestamp())
             returning failures, slow",
            plan.endpoint as _,
            token,
            now,
            (slice + self.config.attempt_lease()).num_milliseconds(),
            plan.version,
        );
        let opened = opened.fetch_optional(self.db.pool()).await?;
        Ok(opened.map(|row| Lane {
            endpoint: plan.endpoint,
            org: plan.org,
            version: plan.version,
            token,
            wire,
            slow: plan.slow,
            health: Health { failures: row.failures, slow: row.slow, ..Health::default() },
            ended: false,
        }))
    }
}

/// Ends a little before jobs have had their `grace` after their worker was told to stop: what is dropped then could
/// not close its lane, and nobody would deliver to the endpoint until that is over.
async fn patience(attempt: Option<Lease>, grace: Duration) {
    match attempt {
        Some(attempt) => attempt.stopping().await,
        None => std::future::pending().await,
    }
    tokio::time::sleep(grace.saturating_sub(LAST_WORDS)).await;
}

impl Lane {
    /// Sends what is due, several at a time, until nothing is, the endpoint turns out to be changed, dead or
    /// slow, or the time is over; `true` if it is.
    async fn work(&mut self, webhooks: &Webhooks) -> anyhow::Result<bool> {
        let began = Instant::now();
        let attempt = jobs::running();
        let is_stopping = || attempt.as_ref().is_some_and(Lease::is_stopping);
        let mut patience_ends = pin!(patience(attempt.clone(), webhooks.grace));
        // Tasks of their own: what our database takes is not the receiver's time.
        let mut under_way = JoinSet::new();
        let mut dies = false;
        loop {
            let in_time = began.elapsed() < SLICE;
            let goes_on = in_time && !is_stopping();
            let goes_on = goes_on && !self.ended && !dies && self.health.slow == self.slow;
            // One is enough to learn whether it lives again.
            let width = if self.health.is_dead() { 1 } else { webhooks.config.width() };
            let room = width.saturating_sub(under_way.len());
            if goes_on && room > 0 {
                let now = webhooks.clock.now();
                for delivery in self.claim(webhooks, room, now).await? {
                    under_way.spawn(self.wire.clone().send(delivery, now));
                }
            }
            let outcome = tokio::select! {
                biased;
                outcome = under_way.join_next() => outcome,
                () = &mut patience_ends => {
                    under_way.shutdown().await;
                    Delivery::give_back(webhooks.db.pool(), self.endpoint, self.token).await?;
                    return Ok(false);
                }
            };
            let Some(outcome) = outcome else { return Ok(!in_time) };
            webhooks.record(self, outcome?).await?;
            dies |= self.health.is_dead();
        }
    }

    async fn claim(
        &self,
        webhooks: &Webhooks,
        limit: usize,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Delivery>> {
        let of = (self.endpoint, self.version);
        let lease = webhooks.config.claim_lease();
        Delivery::claim(webhooks.db.pool(), of, self.token, limit, (now, lease)).await
    }

    async fn close(&self, webhooks: &Webhooks) -> sqlx::Result<()> {
        sqlx::query!(
            "update webhook_endpoints set lane = null, lane_until = null where id = $1 and lane = $2",
            self.endpoint as _,
            self.token,
        )
        .execute(webhooks.db.pool())
        .await?;
        Ok(())
    }

    /// Comes back when something is due, and no sooner than after `rest`. Looked up after the lane was
    /// closed: whoever found it taken before had written down what is due before that.
    async fn wake_again(&self, webhooks: &Webhooks, rest: TimeDelta) -> sqlx::Result<()> {
        let next: Option<DateTime<Utc>> = sqlx::query_scalar!(
            r#"select greatest(paused_until,
                               (select min(due_at) from webhook_deliveries
                                where endpoint_id = $1 and status = 'pending')) as "next"
               from webhook_endpoints
               where id = $1 and disabled_at is null
                 and exists (select from webhook_deliveries
                             where endpoint_id = $1 and status = 'pending')"#,
            self.endpoint as _,
        )
        .fetch_optional(webhooks.db.pool())
        .await?
        .flatten();
        match next {
            Some(next) => {
                let pause = (next - webhooks.clock.now()).max(rest);
                wake(webhooks.db.pool(), self.endpoint, pause).await
            }
            None => Ok(()),
        }
    }
}
