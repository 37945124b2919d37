use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

/// How long files are kept, unless they are deleted before.
const KEPT: TimeDelta = TimeDelta::days(7);

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = AiFilePurpose)]
pub(super) enum Purpose {
    /// The calls of a batch.
    Batch,
    /// Their answers.
    BatchOutput,
    /// An image for prompts.
    Vision,
}

/// A file, as `OpenAI`'s API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AiFile)]
pub(crate) struct File {
    /// Identifies it.
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: Id<File>,
    #[schema(example = "file")]
    object: &'static str,
    /// How long it is.
    bytes: i64,
    /// When it was made, in seconds since 1970.
    created_at: i64,
    /// When it is deleted, likewise.
    expires_at: i64,
    /// Its name.
    filename: String,
    /// What it is for.
    purpose: Purpose,
    #[schema(example = "processed")]
    status: &'static str,
}

/// A file to be kept.
pub(super) struct NewFile<'a> {
    pub(super) org: Id<Org>,
    pub(super) purpose: Purpose,
    pub(super) name: &'a str,
    pub(super) content: &'a [u8],
}

/// A row without its content.
struct Row {
    id: Id<File>,
    name: String,
    purpose: Purpose,
    bytes: i64,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<Row> for File {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            object: "file",
            bytes: row.bytes,
            created_at: row.created_at.timestamp(),
            expires_at: row.expires_at.timestamp(),
            filename: row.name,
            purpose: row.purpose,
            status: "processed",
        }
    }
}

impl NewFile<'_> {
    pub(super) async fn insert(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<File> {
        let row = sqlx::query_as!(
            Row,
            r#"insert into ai_files (id, org_id, purpose, name, content, created_at, expires_at)
               values ($1, $2, $3, $4, $5, $6, $7)
               returning id as "id: _", name, purpose as "purpose: _",
                         length(content)::bigint as "bytes!", created_at, expires_at"#,
            Id::<File>::new() as _,
            self.org as _,
            self.purpose as _,
            self.name,
            self.content,
            now,
            now + KEPT,
        )
        .fetch_one(db)
        .await?;
        Ok(row.into())
    }
}

impl File {
    /// Those of the org whose transaction this is, the newest first.
    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        after: Option<Id<Self>>,
        purpose: Option<Purpose>,
        rows: i64,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query_as!(
            Row,
            r#"select id as "id: _", name, purpose as "purpose: _",
                      length(content)::bigint as "bytes!", created_at, expires_at
               from ai_files
               where ($1::uuid is null or id < $1) and ($2::text is null or purpose = $2)
                 and expires_at > $3
               order by id desc
               limit $4"#,
            after as _,
            purpose as _,
            now,
            rows,
        )
        .fetch_all(db)
        .await?;
        Ok(rows.into_iter().map(Self::from).collect())
    }

    /// One of the org whose transaction this is.
    pub(super) async fn find(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        let row = sqlx::query_as!(
            Row,
            r#"select id as "id: _", name, purpose as "purpose: _",
                      length(content)::bigint as "bytes!", created_at, expires_at
               from ai_files
               where id = $1 and expires_at > $2"#,
            id as _,
            now,
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map(Self::from))
    }

    /// What it contains, likewise.
    pub(crate) async fn content(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query_scalar!(
            "select content from ai_files where id = $1 and expires_at > $2",
            id as _,
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// `false`: there was none.
    pub(super) async fn delete(db: &mut PgConnection, id: Id<Self>) -> sqlx::Result<bool> {
        let deleted = sqlx::query!("delete from ai_files where id = $1", id as _);
        Ok(deleted.execute(db).await?.rows_affected() == 1)
    }
}
