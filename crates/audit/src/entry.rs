use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{Event, Origin};

/// Something that was done, to be written down.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Where it comes from.
    pub origin: &'a Origin,
    /// Whom it concerns; `None`: the platform.
    pub org: Option<Id<Org>>,
    /// What was done, as `noun.verb` in the past: `budget.changed`.
    pub action: &'static str,
    /// To what, such as an id.
    pub subject: String,
    /// How it was before; `None` if it was not.
    pub before: Option<Value>,
    /// How it is now; `None` if it no longer is.
    pub after: Option<Value>,
}

impl<'a> Entry<'a> {
    /// Something done to `subject` of `org`.
    pub fn new(
        origin: &'a Origin,
        org: Option<Id<Org>>,
        action: &'static str,
        subject: impl ToString,
    ) -> Self {
        Self { origin, org, action, subject: subject.to_string(), before: None, after: None }
    }

    /// How it was before.
    #[must_use]
    pub fn before(mut self, before: Value) -> Self {
        self.before = Some(before);
        self
    }

    /// How it is now.
    #[must_use]
    pub fn after(mut self, after: Value) -> Self {
        self.after = Some(after);
        self
    }

    /// Writes it down, in the transaction of what it tells of.
    pub async fn record(self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        let Origin { actor, ip, request_id } = self.origin;
        sqlx::query!(
            "insert into audit_events
                 (id, org_id, actor_kind, actor_id, on_behalf_of, action, subject, before, after,
                  ip, request_id, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            Id::<Event>::new() as _,
            self.org as _,
            actor.kind(),
            actor.id(),
            actor.on_behalf_of(),
            self.action,
            self.subject,
            self.before,
            self.after,
            ip.map(|ip| ip.to_string()),
            *request_id,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
