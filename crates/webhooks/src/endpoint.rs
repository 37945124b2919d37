use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Result, input::Checked};

/// Where an org's own program listens. Its secret is shown when it is made, and never again.
///
/// Every query but the lane's runs in a transaction of one org, so none of them has to mention it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct Endpoint {
    /// Names it for good.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Endpoint>,
    /// Where events are posted.
    #[schema(example = "https://example.com/webhooks")]
    pub url: String,
    /// What it is for.
    pub description: String,
    /// The types it is told of; none: all.
    pub events: Vec<String>,
    /// Whether events are sent. What happens while they are not is kept, and sent when they are again.
    pub enabled: bool,
    /// Why they are not: `request`, `gone` (it answered 410), or `failing` (for days).
    pub disabled_reason: Option<String>,
    /// Since when it takes nothing.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when the secret before this one signs too.
    pub previous_secret_expires_at: Option<DateTime<Utc>>,
    /// Grows with every change; its `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Endpoint {
    /// Up to `rows` endpoints, the newest first, from the one that follows `after`.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        after: Option<Id<Self>>,
        rows: i64,
    ) -> Result<Vec<Self>> {
        let endpoints = sqlx::query_as!(
            Self,
            r#"select id as "id: _", url, description, events, disabled_at is null as "enabled!",
                      disabled_reason, failing_since, previous_secret_expires_at, version,
                      created_at, updated_at
               from webhook_endpoints
               where $1::uuid is null or id < $1
               order by id desc
               limit $2"#,
            after as _,
            rows,
        );
        Ok(endpoints.fetch_all(db).await?)
    }

    /// The endpoint `id`.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let endpoint = sqlx::query_as!(
            Self,
            r#"select id as "id: _", url, description, events, disabled_at is null as "enabled!",
                      disabled_reason, failing_since, previous_secret_expires_at, version,
                      created_at, updated_at
               from webhook_endpoints
               where id = $1"#,
            id as _,
        );
        Ok(endpoint.fetch_one(db).await?)
    }

    /// The endpoint `id`, which nobody else can change until the transaction ends.
    pub(crate) async fn lock(db: &mut PgConnection, id: Id<Self>) -> Result<Self> {
        let locked =
            sqlx::query!("select from webhook_endpoints where id = $1 for update", id as _);
        locked.fetch_one(&mut *db).await?;
        Self::get(db, id).await
    }

    /// How many there are, while nobody else makes one.
    pub(crate) async fn count(db: &mut PgConnection, org: Id<Org>) -> Result<i64> {
        let lock = sqlx::query!("select from orgs where id = $1 for no key update", org as _);
        lock.fetch_one(&mut *db).await?;
        let count = sqlx::query_scalar!(r#"select count(*) as "count!" from webhook_endpoints"#);
        Ok(count.fetch_one(db).await?)
    }

    pub(crate) async fn insert(
        db: &mut PgConnection,
        (id, org): (Id<Self>, Id<Org>),
        new: &Checked,
        secret: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Self> {
        sqlx::query!(
            "insert into webhook_endpoints
                 (id, org_id, url, description, events, secret, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
            id as _,
            org as _,
            new.url,
            new.description,
            &new.events,
            secret,
            now,
        )
        .execute(&mut *db)
        .await?;
        Self::get(db, id).await
    }

    /// Changes what its owner decides. Enabled again, it is as good as new, and what was kept is due.
    pub(crate) async fn change(
        self,
        db: &mut PgConnection,
        to: &Checked,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        sqlx::query!(
            "update webhook_endpoints
             set url = $2, description = $3, events = $4, version = version + 1, updated_at = $6,
                 disabled_at = case when $5 then null else coalesce(disabled_at, $6) end,
                 disabled_reason = case when $5 then null else coalesce(disabled_reason, 'request') end
             where id = $1",
            self.id as _,
            to.url,
            to.description,
            &to.events,
            to.enabled,
            now,
        )
        .execute(&mut *db)
        .await?;
        if to.enabled && (!self.enabled || to.url != self.url) {
            Self::begin_anew(db, self.id, now).await?;
        }
        Self::get(db, self.id).await
    }

    async fn begin_anew(db: &mut PgConnection, id: Id<Self>, now: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "update webhook_endpoints
             set failures = 0, failing_since = null, warned_at = null, paused_until = null, slow = false
             where id = $1",
            id as _,
        )
        .execute(&mut *db)
        .await?;
        // What is under way in an open lane is left alone, so that it is not sent twice. Most were kept for it and never
        // tried: they are as they should be.
        sqlx::query!(
            "update webhook_deliveries set attempts = 0, due_at = $2, lane = null
             where endpoint_id = $1 and status = 'pending' and (attempts > 0 or due_at > $2)
               and not exists (select from webhook_endpoints n
                               where n.id = $1 and n.lane = webhook_deliveries.lane
                                 and n.lane_until > clock_timestamp())",
            id as _,
            now,
        )
        .execute(&mut *db)
        .await?;
        Ok(())
    }

    /// Gives it another secret. The one before signs too until `expires`.
    pub(crate) async fn rotate(
        &self,
        db: &mut PgConnection,
        secret: &[u8],
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        sqlx::query!(
            "update webhook_endpoints
             set previous_secret = secret, previous_secret_expires_at = $3, secret = $2,
                 version = version + 1, updated_at = $4
             where id = $1",
            self.id as _,
            secret,
            expires,
            now,
        )
        .execute(&mut *db)
        .await?;
        Self::get(db, self.id).await
    }

    /// Disables it, as its owner can too.
    pub(crate) async fn disable(self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "update webhook_endpoints
             set version = version + 1, updated_at = $2, disabled_at = coalesce(disabled_at, $2),
                 disabled_reason = coalesce(disabled_reason, 'request')
             where id = $1",
            self.id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Deletes it, and everything that was to be delivered to it.
    pub(crate) async fn delete(self, db: &mut PgConnection) -> Result<()> {
        let deleted = sqlx::query!("delete from webhook_endpoints where id = $1", self.id as _);
        deleted.execute(db).await?;
        Ok(())
    }
}
