use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::{Serialize, Serializer};
use sqlx::{PgConnection, PgExecutor};
use storage::{Key, Labels};
use utoipa::ToSchema;

use crate::{Error, Result, content_type, name, usage};

/// A file of an org. What is in it never changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Asset {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Asset>,
    /// What it is called; several may be called the same.
    pub name: String,
    /// What it is.
    #[schema(example = "image/png")]
    pub content_type: String,
    /// How long it is.
    pub bytes: i64,
    /// The SHA-256 of what is in it.
    #[serde(serialize_with = "as_hex")]
    #[schema(value_type = String)]
    pub sha256: Vec<u8>,
    /// How many pixels wide it is, if it is an image.
    pub width: Option<i32>,
    /// How many pixels high.
    pub height: Option<i32>,
    /// What its thumbnail is, once there is one. Images get one soon.
    #[schema(example = "image/webp")]
    pub thumbnail_type: Option<String>,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

impl Asset {
    /// Those of the org whose transaction this is, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, content_type, bytes, sha256, width, height, thumbnail_type, created_at
               from assets where deleted_at is null and ($1::uuid is null or id < $1)
               order by id desc limit $2"#,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of the org whose transaction this is.
    pub async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, content_type, bytes, sha256, width, height, thumbnail_type, created_at
               from assets where id = $1 and deleted_at is null"#,
            id as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or(Error::NotFound)
    }

    /// The same for jobs, as the owner.
    pub(crate) async fn find(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        id: Id<Self>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, content_type, bytes, sha256, width, height, thumbnail_type, created_at
               from assets where id = $1 and org_id = $2 and deleted_at is null"#,
            id as _,
            org as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Notes that there is a thumbnail; `false`: the file was deleted meanwhile.
    pub(crate) async fn note_thumbnail(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        id: Id<Self>,
        content_type: &str,
    ) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "update assets set thumbnail_type = $3
             where id = $1 and org_id = $2 and deleted_at is null",
            id as _,
            org as _,
            content_type,
        );
        Ok(noted.execute(db).await?.rows_affected() == 1)
    }

    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        by: Id<User>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into assets (id, org_id, created_by, name, content_type, bytes, sha256, width, height,
                                 created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            self.id as _,
            org as _,
            by as _,
            self.name,
            self.content_type,
            self.bytes,
            self.sha256,
            self.width,
            self.height,
            self.created_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Nobody sees it any more, and its bytes are free; what is in it is erased by a job.
    pub(crate) async fn delete(
        db: &mut PgConnection,
        org: Id<Org>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let bytes = sqlx::query_scalar!(
            "update assets set deleted_at = $3
             where id = $1 and org_id = $2 and deleted_at is null returning bytes",
            id as _,
            org as _,
            now,
        );
        let bytes = bytes.fetch_optional(&mut *db).await?.ok_or(Error::NotFound)?;
        Ok(usage::release(db, org, bytes).await?)
    }

    /// Where it is.
    pub fn key(org: Id<Org>, id: Id<Self>) -> Key {
        Key::new(org, "assets", id)
    }

    /// What whoever reads it is told.
    pub(crate) fn labels(name: &str, content_type: &str) -> Labels {
        let shown = content_type::is_shown(content_type);
        let content_disposition = name::disposition(shown, name);
        Labels { content_type: content_type.to_owned(), content_disposition }
    }
}
