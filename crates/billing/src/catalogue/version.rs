use audit::{Actor, Origin};
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;
use web::{IfMatch, Operator};

use super::Catalogue;
use crate::{Error, InvalidCatalogue, Result, price::Price};

/// A catalogue as it was published. Versions are never changed; the newest is in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CatalogueVersion {
    /// Counts the publications; 0 is the file that the program was built with.
    pub version: i32,
    /// What is sold.
    #[serde(flatten)]
    pub catalogue: Catalogue,
    /// The operator who published it; absent if it was read from a file.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub created_by: Option<Id<Operator>>,
    /// When; absent for version 0.
    pub created_at: Option<DateTime<Utc>>,
}

impl CatalogueVersion {
    /// What is in force while nothing was published.
    pub(crate) fn embedded() -> Self {
        Self { version: 0, catalogue: Catalogue::embedded(), created_by: None, created_at: None }
    }

    /// The one in force.
    pub async fn newest(db: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        Ok(Self::list(db, 1).await?.into_iter().next().unwrap_or_else(Self::embedded))
    }

    /// The newest `limit` versions, the newest first.
    pub async fn list(db: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query!(
            r#"select version, content as "content: Json<Catalogue>",
                      created_by as "created_by: Id<Operator>", created_at
               from catalogues
               order by version desc
               limit $1"#,
            limit,
        );
        let rows = rows.fetch_all(db).await?.into_iter().map(|row| Self {
            version: row.version,
            catalogue: row.content.0,
            created_by: row.created_by,
            created_at: Some(row.created_at),
        });
        Ok(rows.collect())
    }

    /// What was sold in `version`.
    pub(crate) async fn catalogue_of(
        db: impl PgExecutor<'_>,
        version: i32,
    ) -> sqlx::Result<Catalogue> {
        let content = sqlx::query_scalar!(
            r#"select content as "content: Json<Catalogue>" from catalogues where version = $1"#,
            version,
        );
        Ok(content.fetch_optional(db).await?.map_or_else(Catalogue::embedded, |it| it.0))
    }

    /// Whether a file with this text was published before.
    pub(crate) async fn knows(db: impl PgExecutor<'_>, text: &str) -> sqlx::Result<bool> {
        let known = sqlx::query_scalar!(
            r#"select exists (select from catalogues where source = $1) as "known!""#,
            digest(text),
        );
        known.fetch_one(db).await
    }

    /// Puts `catalogue` in force, if the newest version is the one that `if_match` names. One
    /// publication waits for the other.
    pub(crate) async fn publish(
        db: &mut PgConnection,
        catalogue: Catalogue,
        if_match: IfMatch,
        source: Option<&str>,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        sqlx::query!("lock table catalogues in share row exclusive mode").execute(&mut *db).await?;
        let before = Self::newest(&mut *db).await?;
        if_match.check(before.version.into()).map_err(Error::Stale)?;
        catalogue.check()?;
        catalogue.require_all_of(&before.catalogue)?;
        if let Some(other) = Price::any_beside(&mut *db, catalogue.currency()).await? {
            let rule = format!(
                "what was sold in {other} is sold in {other}: subscriptions cannot change their currency"
            );
            return Err(InvalidCatalogue::Rule(rule).into());
        }
        let created_by = match origin.actor {
            Actor::Operator(id) => Some(id),
            _ => None,
        };
        let version = before.version + 1;
        sqlx::query!(
            "insert into catalogues (version, content, source, created_by, created_at)
             values ($1, $2, $3, $4, $5)",
            version,
            Json(&catalogue) as _,
            source.map(digest),
            created_by as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(Self { version, catalogue, created_by, created_at: Some(now) })
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
