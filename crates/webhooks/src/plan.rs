use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::PgExecutor;

use crate::{Endpoint, Webhooks, attempt::Wire, secret::Secret};

/// An endpoint to which may be delivered now, and how.
pub(crate) struct Plan {
    pub(crate) endpoint: Id<Endpoint>,
    pub(crate) org: Id<Org>,
    pub(crate) version: i64,
    pub(crate) slow: bool,
    url: String,
    secret: Vec<u8>,
    /// The one before, while it signs too.
    previous_secret: Option<Vec<u8>>,
}

impl Plan {
    /// Changes nothing. `None` if it is gone, disabled, paused, or somebody delivers to it.
    pub(crate) async fn of(
        db: impl PgExecutor<'_>,
        endpoint: Id<Endpoint>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "endpoint: _", org_id as "org: _", version, slow, url, secret,
                      case when previous_secret_expires_at > $2 then previous_secret end as previous_secret
               from webhook_endpoints
               where id = $1 and disabled_at is null
                 and (paused_until is null or paused_until <= $2)
                 and (lane_until is null or lane_until <= clock_timestamp())"#,
            endpoint as _,
            now,
        )
        .fetch_optional(db)
        .await
    }
}

impl Webhooks {
    /// What it takes to send as planned.
    pub(crate) fn wire(&self, plan: &Plan) -> anyhow::Result<Wire> {
        let open = |sealed: &[u8]| self.sealer.open(plan.endpoint.uuid().as_bytes(), sealed);
        let mut secrets = vec![open(&plan.secret)?];
        match plan.previous_secret.as_deref().map(open).transpose() {
            Ok(previous) => secrets.extend(previous),
            Err(error) => {
                tracing::warn!(endpoint = %plan.endpoint, %error, "the previous secret does not sign");
            }
        }
        Ok(Wire {
            egress: self.egress.clone(),
            target: self.egress.target(&plan.url),
            secrets: secrets.into_iter().map(Secret::from_bytes).collect(),
            timeout: self.config.timeout(),
        })
    }
}
