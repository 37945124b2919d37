use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::{IntoParams, ToSchema};
use web::Page;

use crate::event::Event;

/// How long events are kept after they were handled. Stripe itself keeps them for 30 days.
const KEPT: TimeDelta = TimeDelta::days(90);

/// How many are removed before others get the connection.
const BATCH: i64 = 1000;

/// An event in the inbox.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StripeEvent)]
pub struct InboxEvent {
    /// `evt_…`.
    pub id: String,
    /// Such as `charge.refunded`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about.
    pub object_id: Option<String>,
    /// Whom it is about: `cus_…`.
    pub customer_id: Option<String>,
    /// The version of Stripe's API that it is written in.
    pub api_version: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// When it was done with.
    pub handled_at: Option<DateTime<Utc>>,
    /// `applied`, `ignored` (not about anything sold here, or not meant for this deployment) or
    /// `refused` (contradicts our own mapping of customers); absent while it waits.
    pub outcome: Option<String>,
    /// Attempts to apply it that failed.
    pub failures: i32,
    /// Why the last one did.
    pub last_error: Option<String>,
}

/// Which events to show, the newest first; what is absent does not matter.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// Items per page.
    #[serde(default = "InboxQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: u16,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Its type, whole.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub kind: Option<String>,
    /// `waiting`, `failing` (waiting after failures), `applied`, `ignored` or `refused`.
    #[param(inline)]
    pub state: Option<InboxState>,
    /// About this customer.
    pub customer_id: Option<String>,
}

/// How far an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum InboxState {
    /// Not handled.
    Waiting,
    /// Not handled, after attempts that failed.
    Failing,
    /// Our books agree with Stripe's.
    Applied,
    /// Not about anything that we sold, or not meant for us.
    Ignored,
    /// Contradicts our own mapping.
    Refused,
}

/// Which events to apply again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Received from then on.
    pub from: DateTime<Utc>,
    /// Received before then.
    pub to: DateTime<Utc>,
    /// Of this type only.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl InboxQuery {
    fn default_limit() -> u16 {
        20
    }
}

impl InboxEvent {
    /// Some of them.
    pub async fn list(db: impl PgExecutor<'_>, query: &InboxQuery) -> web::Result<Page<Self>> {
        let limit = query.limit.clamp(1, 100);
        let mut items = sqlx::query_as!(
            Self,
            r#"select id, type as kind, object_id, customer_id, api_version, livemode, received_at,
                      handled_at, outcome, failures, last_error
               from stripe_events
               where ($2::text is null
                      or (received_at, id) < (select received_at, id from stripe_events where id = $2))
                 and ($3::text is null or type = $3)
                 and ($4::text is null or customer_id = $4)
                 and case $5::text
                         when 'waiting' then handled_at is null
                         when 'failing' then handled_at is null and failures > 0
                         else $5 is null or outcome = $5
                     end
               order by received_at desc, id desc
               limit $1"#,
            i64::from(limit) + 1,
            query.cursor,
            query.kind,
            query.customer_id,
            query.state as _,
        )
        .fetch_all(db)
        .await?;
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let next_cursor = items.last().filter(|_| more).map(|last| last.id.clone());
        Ok(Page { items, next_cursor })
    }

    /// The body of one, exactly as it came.
    pub async fn payload(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar!("select payload from stripe_events where id = $1", id)
            .fetch_optional(db)
            .await
    }

    /// Has one applied again; `false`: there is no such event.
    pub async fn replay(db: &mut PgConnection, id: &str) -> sqlx::Result<bool> {
        let known = sqlx::query!(
            "update stripe_events
             set handled_at = null, outcome = null, failures = 0, last_error = null
             where id = $1",
            id,
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if known == 0 {
            return Ok(false);
        }
        Event::queue(db, id).await?;
        Ok(true)
    }
}

impl Replay {
    /// Has all of them applied again, in one transaction; answers how many. Applying looks at
    /// Stripe's newest state, so it changes nothing where the books agree with it.
    pub async fn run(&self, db: &mut PgConnection) -> sqlx::Result<usize> {
        let mut events = sqlx::query_scalar!(
            "update stripe_events
             set handled_at = null, outcome = null, failures = 0, last_error = null
             where received_at >= $1 and received_at < $2 and ($3::text is null or type = $3)
             returning id",
            self.from,
            self.to,
            self.kind,
        )
        .fetch_all(&mut *db)
        .await?;
        events.sort();
        Event::queue_all(db, &events).await?;
        Ok(events.len())
    }
}

/// Has every event tried again that waits since before `since`; answers how many.
pub(crate) async fn requeue_waiting(
    db: &mut PgConnection,
    since: DateTime<Utc>,
) -> sqlx::Result<usize> {
    let mut events = sqlx::query_scalar!(
        "update stripe_events set failures = 0
         where handled_at is null and received_at < $1
         returning id",
        since,
    )
    .fetch_all(&mut *db)
    .await?;
    events.sort();
    Event::queue_all(db, &events).await?;
    Ok(events.len())
}

/// Removes what was handled long ago.
pub(crate) async fn purge(db: &sqlx::PgPool, now: DateTime<Utc>) -> sqlx::Result<u64> {
    let mut removed = 0;
    loop {
        let batch = sqlx::query!(
            "delete from stripe_events
             where id in (select id from stripe_events
                          where received_at < $1 and handled_at is not null
                          order by received_at
                          limit $2)",
            now - KEPT,
            BATCH,
        )
        .execute(db)
        .await?
        .rows_affected();
        removed += batch;
        if batch == 0 {
            return Ok(removed);
        }
    }
}
