use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, User};
use sqlx::{PgConnection, PgExecutor};

use crate::template::Content;

/// One mail in the outbox, while it is still to be sent.
///
/// The bodies carry secret links, so they are erased as soon as the mail is sent or given up.
pub struct Email {
    pub(crate) id: Id<Email>,
    pub(crate) recipient: EmailAddress,
    pub(crate) subject: String,
    pub(crate) html: String,
    pub(crate) text: String,
    pub(crate) attempts: i32,
    pub(crate) created_at: DateTime<Utc>,
}

impl Email {
    pub(crate) async fn insert(
        db: &mut PgConnection,
        recipient: &EmailAddress,
        user: Option<Id<User>>,
        template: &str,
        content: &Content,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Id<Self>> {
        let id = Id::new();
        sqlx::query!(
            "insert into emails
                 (id, user_id, recipient, template, subject, html, text, status, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, 'queued', $8)",
            id as _,
            user as _,
            recipient as _,
            template,
            content.subject,
            content.html,
            content.text,
            now,
        )
        .execute(db)
        .await?;
        Ok(id)
    }

    /// Reads the mail and counts the attempt; `None` if it was sent or given up.
    pub(crate) async fn attempt(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"update emails set attempts = attempts + 1
               where id = $1 and status = 'queued'
               returning id as "id: _", recipient as "recipient: _", subject,
                         html as "html!", text as "text!", attempts, created_at"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) async fn mark_sent(
        &self,
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails
             set status = 'sent', sent_at = $3, error = null, html = null, text = null
             where id = $1 and created_at = $2",
            self.id as _,
            self.created_at,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes why it was not sent, to be tried again.
    pub(crate) async fn note(&self, db: impl PgExecutor<'_>, error: &str) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails set error = $3 where id = $1 and created_at = $2",
            self.id as _,
            self.created_at,
            error,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Gives it up.
    pub(crate) async fn give_up(&self, db: impl PgExecutor<'_>, error: &str) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails set status = 'dead', error = $3, html = null, text = null
             where id = $1 and created_at = $2",
            self.id as _,
            self.created_at,
            error,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
