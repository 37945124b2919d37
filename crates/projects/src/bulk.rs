use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Error, Project, Result, name::in_one_line};

/// What happens to many projects: to all of them, or to none if one cannot be changed so.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectsChange {
    /// Which.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100)]
    ids: BTreeSet<Uuid>,
    /// Whether they are out of the way.
    archived: Option<bool>,
    /// Where they are put.
    #[schema(min_length = 1, max_length = 100)]
    folder: Option<String>,
    /// Whether they are deleted: `false` restores them.
    deleted: Option<bool>,
}

impl ProjectsChange {
    /// Changes them all.
    pub(crate) async fn apply(&self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
        if !(1..=100).contains(&self.ids.len()) {
            return Err(Error::WrongNumber);
        }
        let ids: Vec<_> = self.ids.iter().copied().collect();
        let folder = self.folder.as_deref().map(|it| in_one_line(it, "/folder")).transpose()?;
        // In one order, so that two of these wait for each other and not both.
        let found = sqlx::query_scalar!(
            r#"select id as "id: Id<Project>" from projects
               where id = any($1) and (deleted_at is null or $2 is false)
               order by id
               for update"#,
            &ids,
            self.deleted,
        )
        .fetch_all(&mut *db)
        .await?;
        if found.len() < ids.len() {
            return Err(Error::NotFound);
        }
        sqlx::query!(
            "update projects
             set archived_at = case when $2 then coalesce(archived_at, $5)
                                    when $2 is null then archived_at end,
                 deleted_at = case when $3 then $5 when $3 is null then deleted_at end,
                 folder = coalesce($4, folder),
                 version = version + 1,
                 updated_at = $5
             where id = any($1)",
            &ids,
            self.archived,
            self.deleted,
            folder,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
