use app::Event;
use chrono::{DateTime, SecondsFormat, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::PgConnection;

use crate::{Endpoint, delivery::Message};

/// What is sent, as the Standard Webhooks say.
#[derive(Serialize)]
struct Payload<'a, E> {
    r#type: &'a str,
    timestamp: String,
    data: &'a E,
}

/// Writes down that `event` happened in `org`, in the transaction of what it tells of. Nothing is written
/// if no endpoint listens. Works for the owner and in the transaction of the org.
pub async fn emit<E: Event>(
    db: &mut PgConnection,
    org: Id<Org>,
    event: &E,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into webhook_events (id, org_id, type, payload, created_at)
         select $1, $2, $3, $4, $5
         where exists (
             select from webhook_endpoints
             where org_id = $2 and (cardinality(events) = 0 or $3 = any(events)))",
        Id::<Message>::new() as _,
        org as _,
        E::TYPE,
        payload(E::TYPE, event, now)?,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes down an event that only `endpoint` is told of.
pub(crate) async fn emit_to<D: Serialize>(
    db: &mut PgConnection,
    (org, endpoint): (Id<Org>, Id<Endpoint>),
    (name, data): (&str, &D),
    now: DateTime<Utc>,
) -> sqlx::Result<Id<Message>> {
    let id = Id::new();
    sqlx::query!(
        "insert into webhook_events (id, org_id, type, payload, only_to, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        id as _,
        org as _,
        name,
        payload(name, data, now)?,
        endpoint as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(id)
}

fn payload(name: &str, data: &impl Serialize, now: DateTime<Utc>) -> sqlx::Result<String> {
    let timestamp = now.to_rfc3339_opts(SecondsFormat::Micros, true);
    let payload = Payload { r#type: name, timestamp, data };
    serde_json::to_string(&payload).map_err(|error| sqlx::Error::Encode(error.into()))
}
