use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use super::announcement::Announcement;
use crate::{Error, Result, tickets::Ticket};

/// Something that somebody is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Notification {
    /// Counts up in everybody's own feed.
    pub(crate) number: i64,
    /// What it is about: `announcement` or `ticket`.
    pub(crate) kind: String,
    /// In a few words.
    pub(crate) title: String,
    /// All of it.
    pub(crate) text: String,
    /// Which announcement it is, if it is one.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(crate) announcement_id: Option<Id<Announcement>>,
    /// Which ticket it is about, if it is about one.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(crate) ticket_id: Option<Id<Ticket>>,
    /// When it was told.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was read.
    pub(crate) read_at: Option<DateTime<Utc>>,
}

impl Notification {
    /// The newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        unread: bool,
        before: Option<i64>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select number, kind, title, text, announcement_id as "announcement_id: _",
                      ticket_id as "ticket_id: _", created_at, read_at
               from notifications
               where user_id = $1 and (not $2 or read_at is null) and ($3::bigint is null or number < $3)
               order by number desc
               limit $4"#,
            user as _,
            unread,
            before,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// The next ones after `seen`, in their order.
    pub(crate) async fn after(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        seen: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select number, kind, title, text, announcement_id as "announcement_id: _",
                      ticket_id as "ticket_id: _", created_at, read_at
               from notifications
               where user_id = $1 and number > $2
               order by number
               limit 100"#,
            user as _,
            seen,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn unread(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<i64> {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from notifications where user_id = $1 and read_at is null"#,
            user as _,
        )
        .fetch_one(db)
        .await
    }

    /// Notes that one was read, or was not.
    pub(crate) async fn set_read(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        number: i64,
        read_at: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let changed = sqlx::query_as!(
            Self,
            r#"update notifications
               set read_at = case when $3::timestamptz is null then null else coalesce(read_at, $3) end
               where user_id = $1 and number = $2
               returning number, kind, title, text, announcement_id as "announcement_id: _",
                         ticket_id as "ticket_id: _", created_at, read_at"#,
            user as _,
            number,
            read_at,
        )
        .fetch_optional(db)
        .await?;
        changed.ok_or(Error::NoSuchNotification)
    }

    /// Notes that all up to `number` were read.
    pub(crate) async fn read_up_to(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        number: i64,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update notifications set read_at = $3
             where user_id = $1 and number <= $2 and read_at is null",
            user as _,
            number,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
