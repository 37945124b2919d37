use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::Serialize;
use sqlx::PgExecutor;
use storage::Key;
use utoipa::ToSchema;

use crate::subject::Subject;

/// A copy of everything that is kept about a person, or of an org.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DataExport)]
pub struct Export {
    /// Identifies it; later ones have greater ids.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Export>,
    /// Who asked for it, and alone gets it.
    #[serde(skip)]
    pub user_id: Id<User>,
    /// Of which org it is; absent: of the person.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub org_id: Option<Id<Org>>,
    /// How far it is.
    pub status: ExportStatus,
    /// How large the archive is.
    #[schema(example = 48_213)]
    pub bytes: Option<i64>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was made, or given up.
    pub finished_at: Option<DateTime<Utc>>,
    /// Until when it can be downloaded.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = DataExportStatus)]
pub enum ExportStatus {
    /// It is being made.
    Queued,
    /// It can be downloaded.
    Ready,
    /// It was given up: ask for another one.
    Failed,
    /// It could be downloaded, and no longer can.
    Expired,
}

impl ExportStatus {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Queued => "still being made",
            Self::Ready => "ready",
            Self::Failed => "given up",
            Self::Expired => "over",
        }
    }
}

impl Export {
    /// Whom it is about.
    pub(crate) fn subject(&self) -> Subject {
        self.org_id.map_or(Subject::Person(self.user_id), Subject::Org)
    }

    /// How far it is then: an archive may be there for an hour after its time.
    pub(crate) fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        if self.status == ExportStatus::Ready && self.expires_at.is_some_and(|at| at <= now) {
            self.status = ExportStatus::Expired;
        }
        self
    }

    /// Where its archive is.
    pub(crate) fn key(&self) -> Key {
        match self.subject() {
            Subject::Person(user) => Key::of_person(user, "exports", self.id),
            Subject::Org(org) => Key::new(org, "exports", self.id),
        }
    }

    /// Those that `user` asked for, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      status as "status: _", bytes, created_at, finished_at, expires_at
               from data_exports
               where user_id = $1 and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            user as _,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Copies of orgs that `user` asked for.
    pub(crate) async fn of_orgs(
        db: impl PgExecutor<'_>,
        user: Id<User>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      status as "status: _", bytes, created_at, finished_at, expires_at
               from data_exports
               where user_id = $1 and org_id is not null"#,
            user as _,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn find(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", org_id as "org_id: _",
                      status as "status: _", bytes, created_at, finished_at, expires_at
               from data_exports
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Whether who asked for it may still have it: a copy of an org is for its owners.
    pub(crate) async fn is_permitted(&self, db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
        let Some(org) = self.org_id else { return Ok(true) };
        sqlx::query_scalar!(
            r#"select exists (select from memberships
                              where org_id = $1 and user_id = $2 and role = 'owner') as "owns!""#,
            org as _,
            self.user_id as _,
        )
        .fetch_one(db)
        .await
    }
}
