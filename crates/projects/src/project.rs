use assets::Asset;
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{
    Error, Result,
    name::{in_one_line, name_of_copy},
};

/// The longest text, in characters.
const LONGEST_TEXT: usize = 50_000;
/// How many copies of one project get a name of their own.
const COPIES: u32 = 20;

/// Something an org works on.
///
/// Every query runs in a transaction of one org, so none of them has to mention it.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
pub struct Project {
    /// Names it for good.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Project>,
    /// Unique in its org, whatever the case of its letters.
    pub name: String,
    /// What it says. A list has its beginning only.
    pub text: String,
    /// Where it is put, if anywhere. A folder is there as long as something is in it.
    pub folder: Option<String>,
    /// An image of the org's files: `/v1/assets/{cover_id}/thumbnail` shows it.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub cover_id: Option<Id<Asset>>,
    /// Since when it is out of the way.
    pub archived_at: Option<DateTime<Utc>>,
    /// Since when it is deleted; it can be restored for some time.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Grows with every change; the `ETag` of the project.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Project {
    /// One that says nothing yet.
    pub fn new(name: &str, now: DateTime<Utc>) -> Result<Self> {
        let mut project = Self {
            id: Id::new(),
            name: String::new(),
            text: String::new(),
            folder: None,
            cover_id: None,
            archived_at: None,
            deleted_at: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        project.rename(name)?;
        Ok(project)
    }

    /// Gives it a name that can be shown in one line.
    pub fn rename(&mut self, name: &str) -> Result<()> {
        self.name = in_one_line(name, "/name")?;
        Ok(())
    }

    /// Says something else.
    pub fn write(&mut self, text: String) -> Result<()> {
        if text.chars().count() > LONGEST_TEXT {
            return Err(Error::TextTooLong);
        }
        self.text = text;
        Ok(())
    }

    /// Puts it into a folder, or out of any.
    pub fn put_into(&mut self, folder: Option<&str>) -> Result<()> {
        self.folder = folder.map(|folder| in_one_line(folder, "/folder")).transpose()?;
        Ok(())
    }

    /// Shows an image of the org, or none.
    pub async fn cover(&mut self, db: &mut PgConnection, image: Option<Id<Asset>>) -> Result<()> {
        if let Some(id) = image {
            let asset = Asset::get(db, id).await.map_err(Error::Cover)?;
            asset.width.ok_or(Error::CoverIsNoImage)?;
        }
        self.cover_id = image;
        Ok(())
    }

    /// Keeps a new one.
    pub async fn insert(&self, db: &mut PgConnection, org: Id<Org>) -> Result<()> {
        sqlx::query!(
            "insert into projects (id, org_id, name, text, folder, cover_id, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
            self.id as _,
            org as _,
            self.name,
            self.text,
            self.folder,
            self.cover_id as _,
            self.created_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// The project `id`.
    pub async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let project = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, text, folder, cover_id as "cover_id: _", archived_at,
                      deleted_at, version, created_at, updated_at
               from projects
               where id = $1 and deleted_at is null"#,
            id as _,
        );
        Ok(project.fetch_one(db).await?)
    }

    /// The project `id`, which nobody else can change until the transaction ends.
    pub async fn lock(db: &mut PgConnection, id: Id<Self>) -> Result<Self> {
        sqlx::query!("select from projects where id = $1 for update", id as _)
            .execute(&mut *db)
            .await?;
        Self::get(db, id).await
    }

    /// Keeps what was changed since it was locked.
    pub async fn save(&mut self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
        (self.version, self.updated_at) = (self.version + 1, now);
        sqlx::query!(
            "update projects
             set name = $2, text = $3, folder = $4, cover_id = $5, archived_at = $6, version = $7,
                 updated_at = $8
             where id = $1",
            self.id as _,
            self.name,
            self.text,
            self.folder,
            self.cover_id as _,
            self.archived_at,
            self.version,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Makes another one that says the same, under a name that is free.
    pub async fn copy(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let id = Id::<Self>::new();
        for number in 1..=COPIES {
            let copied = sqlx::query!(
                "insert into projects
                     (id, org_id, name, text, folder, cover_id, created_at, updated_at)
                 select $2, $3, $4, text, folder, cover_id, $5, $5 from projects where id = $1
                 on conflict (org_id, lower(name)) where deleted_at is null do nothing",
                self.id as _,
                id as _,
                org as _,
                name_of_copy(&self.name, number),
                now,
            );
            if copied.execute(&mut *db).await?.rows_affected() == 1 {
                return Self::get(db, id).await;
            }
        }
        Err(Error::NameTaken)
    }

    /// Deletes the project `id`, which frees its name.
    pub async fn delete(db: &mut PgConnection, id: Id<Self>, now: DateTime<Utc>) -> Result<()> {
        let deleted = sqlx::query_scalar!(
            "update projects set deleted_at = $2 where id = $1 and deleted_at is null returning id",
            id as _,
            now,
        );
        deleted.fetch_one(db).await?;
        Ok(())
    }
}
