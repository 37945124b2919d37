use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{Config, signature::sign};

const KIND: &str = "slipway.self_test";

/// An event of our own, signed as Stripe signs, to see that the webhook receives and stores events. It is
/// about nothing, so nothing follows from it.
#[derive(Debug)]
pub struct SelfTest {
    /// Names it in the inbox.
    pub id: String,
    /// What to send.
    pub body: String,
    /// The header `Stripe-Signature` to send it with.
    pub signature: String,
}

impl SelfTest {
    /// One to be sent at `now`; `None` without a signing secret.
    pub fn new(config: &Config, now: DateTime<Utc>) -> Option<Self> {
        let secret = config.stripe_webhook_secret.as_ref()?;
        let id = format!("evt_{}", Uuid::now_v7().simple());
        let event = json!({
            "id": id, "object": "event", "type": KIND, "livemode": config.is_live(),
            "data": { "object": {} },
        });
        let body = event.to_string();
        Some(Self { signature: sign(body.as_bytes(), secret, now), id, body })
    }

    /// Whether it arrived.
    pub async fn arrived(&self, db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
        let found = sqlx::query_scalar!(
            r#"select exists (select from stripe_events where id = $1) as "arrived!""#,
            self.id,
        );
        found.fetch_one(db).await
    }

    /// When the last event of Stripe's own came.
    pub async fn last_event(db: impl PgExecutor<'_>) -> sqlx::Result<Option<DateTime<Utc>>> {
        sqlx::query_scalar!("select max(received_at) from stripe_events where type <> $1", KIND)
            .fetch_one(db)
            .await
    }
}
