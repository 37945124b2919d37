use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{Endpoint, Error, Result, Webhooks, delivery::Message};

/// Which events to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookReplay)]
pub(crate) struct Replay {
    /// This one, whatever became of it.
    #[schema(value_type = Option<String>, format = Uuid)]
    event_id: Option<Id<Message>>,
    /// Those that happened from then on.
    from: Option<DateTime<Utc>>,
    /// Those that happened before then.
    to: Option<DateTime<Utc>>,
    /// Also those that were delivered, not only those that failed.
    #[serde(default)]
    delivered: bool,
}

impl Replay {
    fn check(&self) -> Result<()> {
        let ordered = match (self.from, self.to) {
            (Some(from), Some(to)) => from < to,
            _ => true,
        };
        let either = self.event_id.is_none() || (self.from.is_none() && self.to.is_none());
        if ordered && either { Ok(()) } else { Err(Error::Range) }
    }
}

impl Webhooks {
    /// Makes deliveries due again, with all their attempts; answers how many.
    pub(crate) async fn replay(
        &self,
        org: Id<Org>,
        endpoint: Id<Endpoint>,
        replay: &Replay,
        origin: &Origin,
    ) -> Result<u64> {
        replay.check()?;
        let now = self.clock.now();
        let mut tx = self.db.tenant(org).await?;
        Endpoint::lock(&mut tx, endpoint).await?;
        let due = sqlx::query!(
            "update webhook_deliveries
             set status = 'pending', attempts = 0, due_at = $2
             where endpoint_id = $1
               and case when $3::uuid is null
                        then (status = 'failed' or (status = 'delivered' and $6))
                             and ($4::timestamptz is null or created_at >= $4)
                             and ($5::timestamptz is null or created_at < $5)
                        else event_id = $3 end",
            endpoint as _,
            now,
            replay.event_id as _,
            replay.from,
            replay.to,
            replay.delivered,
        );
        let events = due.execute(&mut *tx).await?.rows_affected();
        if events == 0 && replay.event_id.is_some() {
            return Err(Error::EventNotFound);
        }
        let what = json!({
            "event_id": replay.event_id, "from": replay.from, "to": replay.to, "events": events,
        });
        let entry = Entry::new(origin, Some(org), "webhook_events.replayed", endpoint);
        entry.after(what).record(&mut tx, now).await?;
        tx.commit().await?;
        self.wake_now(endpoint).await;
        Ok(events)
    }
}
