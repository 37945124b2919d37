use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Error, Result};

/// Something an org works on.
///
/// Every query runs in a transaction of one org, so none of them has to mention it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Project {
    /// Names it for good.
    pub id: Id<Project>,
    /// Unique in its org, whatever the case of its letters.
    pub name: String,
    /// Grows with every change; the `ETag` of the project.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Project {
    /// Makes a project.
    pub async fn create(
        db: &mut PgConnection,
        org: Id<Org>,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let project = sqlx::query_as!(
            Self,
            r#"insert into projects (id, org_id, name, created_at, updated_at)
               values ($1, $2, $3, $4, $4)
               returning id as "id: _", name, version, created_at, updated_at"#,
            Id::<Self>::new() as _,
            org as _,
            acceptable(name)?,
            now,
        );
        Ok(project.fetch_one(db).await?)
    }

    /// Up to `rows` projects, the newest first, from the one that follows `after`.
    pub async fn list(
        db: impl PgExecutor<'_>,
        after: Option<Id<Self>>,
        rows: i64,
    ) -> Result<Vec<Self>> {
        let projects = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, version, created_at, updated_at
               from projects
               where deleted_at is null and ($1::uuid is null or id < $1)
               order by id desc
               limit $2"#,
            after as _,
            rows,
        );
        Ok(projects.fetch_all(db).await?)
    }

    /// The project `id`.
    pub async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let project = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, version, created_at, updated_at
               from projects
               where id = $1 and deleted_at is null"#,
            id as _,
        );
        Ok(project.fetch_one(db).await?)
    }

    /// The project `id`, which nobody else can change until the transaction ends.
    pub async fn lock(db: &mut PgConnection, id: Id<Self>) -> Result<Self> {
        let project = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, version, created_at, updated_at
               from projects
               where id = $1 and deleted_at is null
               for update"#,
            id as _,
        );
        Ok(project.fetch_one(db).await?)
    }

    /// Gives it another name.
    pub async fn rename(
        self,
        db: &mut PgConnection,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let project = sqlx::query_as!(
            Self,
            r#"update projects
               set name = $2, version = version + 1, updated_at = $3
               where id = $1
               returning id as "id: _", name, version, created_at, updated_at"#,
            self.id as _,
            acceptable(name)?,
            now,
        );
        Ok(project.fetch_one(db).await?)
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

/// The name without space around it, if it can be shown in one line.
fn acceptable(name: &str) -> Result<&str> {
    let name = name.trim();
    if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        Err(Error::InvalidName)
    }
}

#[cfg(test)]
mod tests {
    use super::acceptable;

    #[test]
    fn a_name_has_1_to_100_characters_without_the_space_around_it() {
        let hundred = "é".repeat(100);
        for (name, kept) in [(" Apollo\n", "Apollo"), ("月", "月"), (&hundred, &hundred)] {
            assert_eq!(acceptable(name).unwrap(), kept);
        }
        for name in ["", " \t ", &"é".repeat(101)] {
            assert!(acceptable(name).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn a_name_has_no_control_characters() {
        for name in ["two\nlines", "tab\there", "bell\u{7}", "\u{9b}31mred"] {
            assert!(acceptable(name).is_err(), "{name:?} was accepted");
        }
    }
}
