use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Deserialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Endpoint, Error, Result, Webhooks, delivery::Message, retention::BATCH};

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
    /// Makes deliveries due again, with all their attempts; answers how many. What is under way is left alone.
    ///
    /// In parts, each with its entry in the audit log: what a part did is done, whatever becomes of the next.
    pub(crate) async fn replay(
        &self,
        org: Id<Org>,
        endpoint: Id<Endpoint>,
        replay: &Replay,
        origin: &Origin,
    ) -> Result<u64> {
        replay.check()?;
        let (mut after, mut events) = (None, 0);
        loop {
            let now = self.clock.now();
            let mut tx = self.db.tenant(org).await?;
            Endpoint::lock(&mut tx, endpoint).await?;
            let due = replay.make_due(&mut tx, endpoint, after, now).await?;
            if due.is_empty() && after.is_some() {
                break;
            }
            if let (Some(event), true) = (replay.event_id, due.is_empty()) {
                Message::find(&mut *tx, endpoint, event).await?;
            }
            let count = due.len() as u64;
            let what = json!({
                "event_id": replay.event_id, "from": replay.from, "to": replay.to, "events": count,
            });
            let entry = Entry::new(origin, Some(org), "webhook_events.replayed", endpoint);
            entry.after(what).record(&mut tx, now).await?;
            tx.commit().await?;
            events += count;
            after = due.into_iter().max();
            if count < BATCH.unsigned_abs() {
                break;
            }
        }
        self.wake_now(endpoint).await;
        Ok(events)
    }
}

impl Replay {
    /// Makes the next deliveries due, by the id of their events.
    async fn make_due(
        &self,
        db: &mut PgConnection,
        endpoint: Id<Endpoint>,
        after: Option<Id<Message>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Id<Message>>> {
        let due = sqlx::query_scalar!(
            r#"update webhook_deliveries d
               set status = 'pending', attempts = 0, due_at = $2, lane = null
               from (select endpoint_id, event_id
                     from webhook_deliveries
                     where endpoint_id = $1
                       and case when $3::uuid is null
                                then (status = 'failed' or (status = 'delivered' and $6))
                                     and ($4::timestamptz is null or created_at >= $4)
                                     and ($5::timestamptz is null or created_at < $5)
                                else event_id = $3 end
                       and not (status = 'pending'
                                and exists (select from webhook_endpoints n
                                            where n.id = $1 and n.lane = webhook_deliveries.lane
                                              and n.lane_until > clock_timestamp()))
                       and ($7::uuid is null or event_id > $7)
                     order by event_id
                     limit $8
                     for update) it
               where (d.endpoint_id, d.event_id) = (it.endpoint_id, it.event_id)
               returning d.event_id as "event: _""#,
            endpoint as _,
            now,
            self.event_id as _,
            self.from,
            self.to,
            self.delivered,
            after as _,
            BATCH,
        );
        Ok(due.fetch_all(db).await?)
    }
}

impl Message {
    /// Whether `endpoint` is told of it.
    async fn find(
        db: impl PgExecutor<'_>,
        endpoint: Id<Endpoint>,
        message: Id<Self>,
    ) -> Result<()> {
        let found = sqlx::query!(
            "select from webhook_deliveries where endpoint_id = $1 and event_id = $2",
            endpoint as _,
            message as _,
        );
        let found = found.fetch_optional(db).await?;
        found.map(|_| ()).ok_or(Error::EventNotFound)
    }
}
