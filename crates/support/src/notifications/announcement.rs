use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use jobs::{Enqueue, Job};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use super::Announce;
use crate::{Error, Result, Support, text::checked};

/// Rows that are deleted in one go.
const BATCH: i64 = 1000;

/// What operators tell everybody.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Announcement {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Announcement>,
    /// In a few words.
    pub(crate) title: String,
    /// All of it.
    pub(crate) text: String,
    /// Whether it goes out by mail, too, to those who want mails of this kind.
    pub(crate) mailed: bool,
    /// When it was published.
    pub(crate) published_at: DateTime<Utc>,
    /// When it is over, if it ever is.
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

/// An announcement to be published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnnouncementInput {
    /// In a few words.
    #[schema(min_length = 1, max_length = 120)]
    title: String,
    /// All of it.
    #[schema(min_length = 1, max_length = 5000)]
    text: String,
    /// Whether to mail it, too.
    #[serde(default)]
    mailed: bool,
    /// When it is over.
    ends_at: Option<DateTime<Utc>>,
}

impl Announcement {
    /// Those that hold at `now`, the newest first; all, if none is given.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        now: Option<DateTime<Utc>>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", title, text, mailed, published_at, ends_at
               from announcements
               where ($1::timestamptz is null or ends_at is null or ends_at > $1)
                 and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            now,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn find(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", title, text, mailed, published_at, ends_at
               from announcements where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) fn holds(&self, now: DateTime<Utc>) -> bool {
        self.ends_at.is_none_or(|end| end > now)
    }
}

impl Support {
    /// Publishes an announcement; a job puts it into everybody's feed.
    pub(crate) async fn publish(
        &self,
        input: AnnouncementInput,
        origin: &Origin,
    ) -> Result<Announcement> {
        let now = self.clock.now();
        if input.ends_at.is_some_and(|end| end <= now) {
            return Err(Error::Field("/ends_at", "must be in the future".to_owned()));
        }
        let announcement = Announcement {
            id: Id::new(),
            title: checked("/title", &input.title, 120)?,
            text: checked("/text", &input.text, 5000)?,
            mailed: input.mailed,
            published_at: now,
            ends_at: input.ends_at,
        };
        let Announcement { id, title, text, .. } = &announcement;
        let mut tx = self.db.begin().await?;
        sqlx::query!(
            "insert into announcements (id, title, text, mailed, published_at, ends_at)
             values ($1, $2, $3, $4, $5, $6)",
            *id as _,
            title,
            text,
            input.mailed,
            now,
            input.ends_at,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, None, "announcement.published", id);
        entry.after(json!({ "title": title, "mailed": input.mailed })).record(&mut tx, now).await?;
        let key = format!("{}: {id}", Announce::NAME);
        Enqueue::new(&Announce { announcement: *id, after: None }).key(key).send(&mut tx).await?;
        tx.commit().await?;
        Ok(announcement)
    }

    /// Ends an announcement, and takes it out of every feed, in batches: it may be in a million. Whoever breaks off
    /// over them asks again.
    pub(crate) async fn withdraw(&self, id: Id<Announcement>, origin: &Origin) -> Result<()> {
        let (mut tx, now) = (self.db.begin().await?, self.clock.now());
        let ended = sqlx::query!(
            "update announcements set ends_at = least(ends_at, $2) where id = $1",
            id as _,
            now,
        );
        if ended.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(Error::NoSuchAnnouncement);
        }
        Entry::new(origin, None, "announcement.withdrawn", id).record(&mut tx, now).await?;
        tx.commit().await?;
        // Whoever still tells people of it sees that it has ended.
        loop {
            let gone = sqlx::query!(
                "delete from notifications
                 where (user_id, number) in (select user_id, number from notifications
                                             where announcement_id = $1 limit $2)",
                id as _,
                BATCH,
            );
            if gone.execute(self.db.pool()).await?.rows_affected() < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }
}
