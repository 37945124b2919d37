use chrono::TimeDelta;
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, Webhooks,
    delivery::{Message, wake},
};

/// Makes a delivery of an event for every endpoint that listens; queued by a trigger, with the event.
/// Endpoints that are disabled or paused get it when they no longer are.
#[derive(Serialize, Deserialize)]
pub(crate) struct Dispatch {
    event: Id<Message>,
}

impl Job for Dispatch {
    const NAME: &'static str = "webhooks.dispatch";
    type Context = Webhooks;

    async fn run(self, webhooks: Webhooks) -> anyhow::Result<()> {
        let (db, now) = (webhooks.db.pool(), webhooks.clock.now());
        sqlx::query!(
            "insert into webhook_deliveries (endpoint_id, event_id, org_id, status, due_at, created_at)
             select n.id, e.id, e.org_id, 'pending', $2, e.created_at
             from webhook_events e
             join webhook_endpoints n on n.org_id = e.org_id
             where e.id = $1
               and case when e.only_to is null
                        then cardinality(n.events) = 0 or e.type = any(n.events)
                        else n.id = e.only_to end
             on conflict do nothing",
            self.event as _,
            now,
        )
        .execute(db)
        .await?;
        // Read after that is committed: whoever has a lane now looks for what is due when he closes it.
        let asleep: Vec<Id<Endpoint>> = sqlx::query_scalar!(
            r#"select n.id as "id: _"
               from webhook_deliveries d
               join webhook_endpoints n on n.id = d.endpoint_id
               where d.event_id = $1 and d.status = 'pending' and n.disabled_at is null
                 and (n.paused_until is null or n.paused_until <= $2)
                 and (n.lane_until is null or n.lane_until <= clock_timestamp())"#,
            self.event as _,
            now,
        )
        .fetch_all(db)
        .await?;
        for endpoint in asleep {
            wake(db, endpoint, TimeDelta::zero()).await?;
        }
        Ok(())
    }
}
