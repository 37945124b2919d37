use auth::secret;
use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Caller;

use crate::{Error, Project, Result};

/// How many links of one project work at a time.
const MOST_LINKS: i64 = 100;

/// A link with which anybody reads a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectLink {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<ProjectLink>,
    /// How often it was followed.
    pub(super) views: i64,
    /// When it was made.
    pub(super) created_at: DateTime<Utc>,
    /// When it stops working.
    pub(super) expires_at: DateTime<Utc>,
}

impl ProjectLink {
    /// Those of a project that work, the newest first.
    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        project: Id<Project>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Self>> {
        let links = sqlx::query_as!(
            Self,
            r#"select id as "id: _", views, created_at, expires_at from project_links
               where project_id = $1 and expires_at > $2
               order by id desc"#,
            project as _,
            now,
        );
        Ok(links.fetch_all(db).await?)
    }

    /// Keeps a new one; those that no longer work make room. The project is locked.
    pub(super) async fn insert(
        &self,
        db: &mut PgConnection,
        caller: &Caller,
        project: Id<Project>,
        token: &str,
    ) -> Result<()> {
        sqlx::query!(
            "delete from project_links where project_id = $1 and expires_at <= $2",
            project as _,
            self.created_at,
        )
        .execute(&mut *db)
        .await?;
        let inserted = sqlx::query!(
            "insert into project_links
                 (id, org_id, project_id, created_by, hash, created_at, expires_at)
             select $1, $2, $3, $4, $5, $6, $7
             where (select count(*) from project_links where project_id = $3) < $8",
            self.id as _,
            caller.org as _,
            project as _,
            caller.user as Id<User>,
            &secret::hash(token),
            self.created_at,
            self.expires_at,
            MOST_LINKS,
        )
        .execute(db)
        .await?;
        if inserted.rows_affected() == 1 { Ok(()) } else { Err(Error::TooManyLinks) }
    }

    /// Counts a view of what the link with this `token` leads to. As the owner: who follows a link is in no org. It works
    /// as long as the project is there and its org is not suspended, nor being deleted: then nobody is in it any more.
    pub(super) async fn follow(
        db: impl PgExecutor<'_>,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<(Id<Org>, Id<Project>)> {
        let followed = sqlx::query!(
            r#"update project_links l set views = views + 1
               from projects p, orgs o
               where l.hash = $1 and l.expires_at > $2
                 and p.id = l.project_id and p.deleted_at is null
                 and o.id = l.org_id and o.suspended_at is null
                 and exists (select from memberships m where m.org_id = o.id)
               returning l.org_id as "org: Id<Org>", l.project_id as "project: Id<Project>""#,
            &secret::hash(token),
            now,
        )
        .fetch_optional(db)
        .await?;
        followed.map(|it| (it.org, it.project)).ok_or(Error::InvalidLink)
    }

    /// Revokes the link `id` to a project.
    pub(super) async fn delete(
        db: impl PgExecutor<'_>,
        project: Id<Project>,
        id: Id<Self>,
    ) -> Result<()> {
        let deleted = sqlx::query!(
            "delete from project_links where id = $1 and project_id = $2",
            id as _,
            project as _,
        );
        let found = deleted.execute(db).await?.rows_affected() == 1;
        if found { Ok(()) } else { Err(Error::NoSuchLink) }
    }
}
