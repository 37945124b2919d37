use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};
use storage::Key;

use crate::{Error, Project, Result};

/// An archive of a project.
pub(crate) struct ProjectExport {
    pub(super) id: Id<ProjectExport>,
    pub(super) org: Id<Org>,
    pub(super) expires_at: DateTime<Utc>,
}

impl ProjectExport {
    /// Where its archive is.
    pub(super) fn key(&self) -> Key {
        Key::new(self.org, "exports", self.id)
    }

    /// Notes that an archive of `project` is about to be kept: from now on somebody removes it.
    pub(super) async fn insert(
        &self,
        db: &mut PgConnection,
        project: Id<Project>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query!(
            "insert into project_exports (id, org_id, project_id, created_at, expires_at)
             values ($1, $2, $3, $4, $5)",
            self.id as _,
            self.org as _,
            project as _,
            now,
            self.expires_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes that the archive is whole.
    pub(super) async fn finish(&self, db: &mut PgConnection, bytes: i64) -> Result<()> {
        sqlx::query!("update project_exports set bytes = $2 where id = $1", self.id as _, bytes)
            .execute(db)
            .await?;
        Ok(())
    }

    /// One that can be downloaded.
    pub(super) async fn get(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", expires_at from project_exports
               where id = $1 and bytes is not null and expires_at > $2"#,
            id as _,
            now,
        );
        found.fetch_optional(db).await?.ok_or(Error::NoSuchExport)
    }

    /// Those of all orgs whose time is over.
    pub(super) async fn over(
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", expires_at from project_exports
               where expires_at <= $1
               limit 1000"#,
            now,
        )
        .fetch_all(db)
        .await
    }

    /// Forgets it.
    pub(super) async fn delete(&self, db: impl PgExecutor<'_>) -> sqlx::Result<()> {
        sqlx::query!("delete from project_exports where id = $1", self.id as _).execute(db).await?;
        Ok(())
    }
}
