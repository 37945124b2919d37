use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{Consent, Error, Result};

/// Characters of the longest text.
pub(crate) const LONGEST: usize = 200_000;

/// What a text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum PolicyKind {
    /// What both sides owe each other.
    Terms,
    /// What is done with people's data.
    Privacy,
}

/// A text that people accept. Once published it is never changed: somebody may have accepted it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Policy {
    /// Identifies this version.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Policy>,
    /// What it is about.
    pub kind: PolicyKind,
    /// Counts from 1 in each kind.
    pub version: i32,
    /// The text, in Markdown.
    pub text: String,
    /// From when on it counts.
    pub published_at: DateTime<Utc>,
}

impl Policy {
    /// Those that count now: the newest of each kind.
    pub(crate) async fn current(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select distinct on (kind) id as "id: _", kind as "kind: _", version, text, published_at
               from policies
               order by kind, version desc"#,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", kind as "kind: _", version, text, published_at
               from policies
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or(Error::NoSuchPolicy)
    }
}

impl Consent {
    /// Publishes a new version, which everybody is asked to accept.
    pub(crate) async fn publish(
        &self,
        kind: PolicyKind,
        text: String,
        origin: &Origin,
    ) -> Result<Policy> {
        if text.trim().is_empty() || text.chars().count() > LONGEST {
            return Err(Error::Length);
        }
        let (id, now) = (Id::new(), self.clock.now());
        let mut tx = self.db.begin().await?;
        // One at a time, so that versions are counted without gaps.
        sqlx::query!("lock table policies in share row exclusive mode").execute(&mut *tx).await?;
        let version = sqlx::query_scalar!(
            "insert into policies (id, kind, version, text, published_at)
             select $1, $2, coalesce(max(version), 0) + 1, $3, $4 from policies where kind = $2
             returning version",
            id as _,
            kind as _,
            text,
            now,
        )
        .fetch_one(&mut *tx)
        .await?;
        let entry = Entry::new(origin, None, "policy.published", id);
        entry.after(json!({ "kind": kind, "version": version })).record(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Policy { id, kind, version, text, published_at: now })
    }
}
