use std::time::Duration;

use db::Db;
use futures::{Stream, stream};
use kernel::{Id, NanoUsd, Org};
use serde::Serialize;
use sqlx::PgConnection;
use tokio::time::Instant;
use utoipa::ToSchema;

/// How long a stream lasts: shorter than a shutdown waits. Readers come back with `Last-Event-ID`.
const LASTS: Duration = Duration::from_secs(25);
/// How often it looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What ended since the event before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageEvent)]
pub(crate) struct Event {
    /// Where the next one goes on: the id of the event.
    #[serde(skip)]
    pub(crate) id: i64,
    /// How many calls.
    pub(crate) calls: i64,
    /// Prompt tokens.
    pub(crate) input_tokens: i64,
    /// Tokens of the answers.
    pub(crate) output_tokens: i64,
    /// What they cost at the providers, in nano-USD.
    pub(crate) cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub(crate) credits: i64,
}

/// Follows the calls of an org. Each is in exactly one event, whatever the order of commits and
/// however often the reader comes back: as in the roll-up, what counts is that no transaction with a
/// lower number than the event's id is left.
pub(crate) struct Tail {
    db: Db,
    org: Id<Org>,
    next: Option<i64>,
    until: Instant,
}

impl Tail {
    /// After the event `last`, or from now on.
    pub(crate) fn new(db: Db, org: Id<Org>, last: Option<i64>) -> Self {
        Self { db, org, next: last, until: Instant::now() + LASTS }
    }

    /// An event whenever calls ended. The first one says where it begins. If the database fails the
    /// stream ends, and its reader resumes it.
    pub(crate) fn events(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, |mut tail| async move {
            let event = tail.next().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "a stream of usage ended early");
                None
            })?;
            Some((event, tail))
        })
    }

    async fn next(&mut self) -> sqlx::Result<Option<Event>> {
        loop {
            let mut tx = self.db.tenant(self.org).await?;
            let event = since(&mut tx, self.org, self.next).await?;
            tx.commit().await?;
            let first = self.next.replace(event.id).is_none();
            if first || event.calls > 0 {
                return Ok(Some(event));
            }
            if Instant::now() + PAUSE > self.until {
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn since(db: &mut PgConnection, org: Id<Org>, next: Option<i64>) -> sqlx::Result<Event> {
    // Read before the calls are: whatever had ended by now is visible to the next statement.
    let id = sqlx::query_scalar!(
        r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!""#
    )
    .fetch_one(&mut *db)
    .await?;
    sqlx::query_as!(
        Event,
        r#"select $3::bigint as "id!",
                  count(*) as "calls!",
                  coalesce(sum(input_tokens) filter (where outcome <> 'cached'), 0)::bigint as "input_tokens!",
                  coalesce(sum(output_tokens) filter (where outcome <> 'cached'), 0)::bigint as "output_tokens!",
                  coalesce(sum(cost_nano_usd), 0)::bigint as "cost_nano_usd!: _",
                  coalesce(sum(credits), 0)::bigint as "credits!"
           from usage_records
           where org_id = $1 and xid >= $2 and xid < $3"#,
        org as _,
        next.unwrap_or(id),
        id,
    )
    .fetch_one(db)
    .await
}
