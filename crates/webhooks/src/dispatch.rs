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
        let mut tx = webhooks.db.begin().await?;
        let endpoints: Vec<Id<Endpoint>> = sqlx::query_scalar!(
            r#"with made as (
                   insert into webhook_deliveries (endpoint_id, event_id, org_id, status, due_at, created_at)
                   select n.id, e.id, e.org_id, 'pending', $2, $2
                   from webhook_events e
                   join webhook_endpoints n on n.org_id = e.org_id
                   where e.id = $1
                     and case when e.only_to is null
                              then cardinality(n.events) = 0 or e.type = any(n.events)
                              else n.id = e.only_to end
                   on conflict do nothing
                   returning endpoint_id
               )
               select endpoint_id as "id!: _" from made
               join webhook_endpoints n on n.id = endpoint_id
               where n.disabled_at is null and (n.paused_until is null or n.paused_until <= $2)
               order by 1"#,
            self.event as _,
            webhooks.clock.now(),
        )
        .fetch_all(&mut *tx)
        .await?;
        for endpoint in endpoints {
            wake(&mut *tx, endpoint, TimeDelta::zero()).await?;
        }
        Ok(tx.commit().await?)
    }
}
