use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::subject::Subject;

/// The erasure of a person or of an org.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Deletion {
    /// Identifies it; later ones have greater ids.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Deletion>,
    /// The person, if it is one.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub user_id: Option<Id<User>>,
    /// The org, if it is one.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub org_id: Option<Id<Org>>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it begins. Until then it can be called off.
    pub due_at: DateTime<Utc>,
    /// When it was called off.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When it began; from then on nothing stops it.
    pub started_at: Option<DateTime<Utc>>,
    /// When everything was gone.
    pub done_at: Option<DateTime<Utc>>,
}

impl Deletion {
    /// Whom it is about.
    pub(crate) fn subject(&self) -> Option<Subject> {
        self.user_id.map(Subject::Person).or(self.org_id.map(Subject::Org))
    }

    /// The one that was not called off, if there is one.
    pub(crate) async fn of(
        db: impl PgExecutor<'_>,
        subject: Subject,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      requested_at, due_at, cancelled_at, started_at, done_at
               from deletions
               where coalesce(user_id, org_id) = $1 and cancelled_at is null"#,
            subject.id(),
        )
        .fetch_optional(db)
        .await
    }

    /// One of them, unless it was called off.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      requested_at, due_at, cancelled_at, started_at, done_at
               from deletions
               where id = $1 and cancelled_at is null"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// One of them, held until the transaction ends.
    pub(crate) async fn lock(db: &mut PgConnection, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      requested_at, due_at, cancelled_at, started_at, done_at
               from deletions
               where id = $1
               for update"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// The newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      requested_at, due_at, cancelled_at, started_at, done_at
               from deletions
               where $1::uuid is null or id < $1
               order by id desc
               limit $2"#,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Those whose time has come and that are not done.
    pub(crate) async fn due(
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Id<Self>>> {
        sqlx::query_scalar!(
            r#"select id as "id: _" from deletions
               where cancelled_at is null and done_at is null and due_at <= $1
               order by due_at, id desc"#,
            now,
        )
        .fetch_all(db)
        .await
    }

    /// Asks for one, unless there is one; answers the one that there is.
    pub(crate) async fn insert(
        db: &mut PgConnection,
        subject: Subject,
        part_of: Option<Id<Self>>,
        (now, due_at): (DateTime<Utc>, DateTime<Utc>),
    ) -> sqlx::Result<(Self, bool)> {
        let (user, org) = match subject {
            Subject::Person(user) => (Some(user), None),
            Subject::Org(org) => (None, Some(org)),
        };
        let inserted = sqlx::query!(
            "insert into deletions (id, user_id, org_id, part_of, requested_at, due_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (coalesce(user_id, org_id)) where cancelled_at is null do nothing",
            Id::<Self>::new() as _,
            user as _,
            org as _,
            part_of as _,
            now,
            due_at,
        )
        .execute(&mut *db)
        .await?;
        let deletion = Self::of(db, subject).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok((deletion, inserted.rows_affected() == 1))
    }
}
