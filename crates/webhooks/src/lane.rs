use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream::FuturesUnordered};
use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Endpoint, Webhooks,
    attempt::Wire,
    delivery::{Delivery, wake},
    health::Health,
    secret::Secret,
};

/// How long a lane goes on before it lets others have its place.
const SLICE: Duration = Duration::from_secs(20);
/// When to look again if no place was free.
const SOON: TimeDelta = TimeDelta::seconds(1);

/// Delivers what is due at one endpoint. However many of these are queued, one at a time works.
#[derive(Serialize, Deserialize)]
pub(crate) struct Deliver {
    endpoint: Id<Endpoint>,
}

impl Job for Deliver {
    const NAME: &'static str = "webhooks.deliver";
    type Context = Webhooks;

    async fn run(self, webhooks: Webhooks) -> anyhow::Result<()> {
        // Gone, disabled, paused, or somebody else is at it, who looks again when he is done.
        let Some(mut lane) = webhooks.open_lane(self.endpoint).await? else { return Ok(()) };
        let Some(_place) = webhooks.room.enter(lane.health.slow) else {
            lane.close(&webhooks).await?;
            return Ok(wake(webhooks.db.pool(), self.endpoint, SOON).await?);
        };
        lane.work(&webhooks).await?;
        lane.close(&webhooks).await?;
        Ok(lane.wake_again(&webhooks).await?)
    }
}

/// The right to deliver to one endpoint.
pub(crate) struct Lane {
    pub(crate) endpoint: Id<Endpoint>,
    pub(crate) org: Id<Org>,
    token: Uuid,
    wire: Arc<Wire>,
    pub(crate) health: Health,
    /// Whether it was disabled or deleted on the way.
    pub(crate) ended: bool,
}

impl Webhooks {
    async fn open_lane(&self, endpoint: Id<Endpoint>) -> anyhow::Result<Option<Lane>> {
        let (token, now) = (Uuid::now_v7(), self.clock.now());
        let slice = TimeDelta::from_std(SLICE).unwrap_or_default();
        let row = sqlx::query!(
            r#"update webhook_endpoints
               set lane = $2, lane_until = $4
               where id = $1 and disabled_at is null
                 and (paused_until is null or paused_until <= $3)
                 and (lane_until is null or lane_until <= $3)
               returning org_id as "org: Id<Org>", url, secret, previous_secret, failures, slow,
                         previous_secret_expires_at > $3 as "previous_is_valid""#,
            endpoint as _,
            token,
            now,
            now + slice + self.config.attempt_lease(),
        );
        let Some(row) = row.fetch_optional(self.db.pool()).await? else { return Ok(None) };
        let previous = row.previous_secret.filter(|_| row.previous_is_valid == Some(true));
        let open = |sealed: Vec<u8>| self.sealer.open(endpoint.uuid().as_bytes(), &sealed);
        let secrets = [Some(row.secret), previous].into_iter().flatten().map(open);
        let secrets = secrets.collect::<anyhow::Result<Vec<_>>>()?;
        let wire = Wire {
            egress: self.egress.clone(),
            target: self.egress.target(&row.url),
            secrets: secrets.into_iter().map(Secret::from_bytes).collect(),
            timeout: self.config.timeout(),
        };
        let health = Health { failures: row.failures, slow: row.slow, ..Health::default() };
        Ok(Some(Lane { endpoint, org: row.org, token, wire: wire.into(), health, ended: false }))
    }
}

impl Lane {
    /// Sends what is due, several at a time, until nothing is, the endpoint turns out to be dead or slow, or
    /// the time is over.
    async fn work(&mut self, webhooks: &Webhooks) -> anyhow::Result<()> {
        let (began, slow) = (Instant::now(), self.health.slow);
        let lease = webhooks.config.attempt_lease();
        let mut under_way = FuturesUnordered::new();
        let mut dies = false;
        loop {
            let goes_on =
                !self.ended && !dies && self.health.slow == slow && began.elapsed() < SLICE;
            // One is enough to learn whether it lives again.
            let width = if self.health.is_dead() { 1 } else { webhooks.config.width() };
            let room = width.saturating_sub(under_way.len());
            if goes_on && room > 0 {
                let now = webhooks.clock.now();
                let db = webhooks.db.pool();
                for delivery in Delivery::claim(db, self.endpoint, room, lease, now).await? {
                    under_way.push(self.wire.clone().send(delivery, now));
                }
            }
            let Some(outcome) = under_way.next().await else { return Ok(()) };
            webhooks.record(self, outcome).await?;
            dies |= self.health.is_dead();
        }
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

    /// Comes back when something is due. Looked up after the lane was closed: whoever found it taken before
    /// had written down what is due before that.
    async fn wake_again(&self, webhooks: &Webhooks) -> sqlx::Result<()> {
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
                wake(webhooks.db.pool(), self.endpoint, next - webhooks.clock.now()).await
            }
            None => Ok(()),
        }
    }
}
