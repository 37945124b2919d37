use chrono::{DateTime, TimeDelta, Utc};
use kernel::{EmailAddress, Id, User};
use sqlx::{PgConnection, PgExecutor};

use crate::{Category, letter::Content};

/// One mail in the outbox, while it is still to be sent.
///
/// The bodies carry secret links, so they are erased as soon as the mail is sent. Of one that is given
/// up they are kept for a week, to be tried again by hand, unless a link [lets somebody in](crate::Template::LETS_IN).
pub struct Email {
    pub(crate) id: Id<Email>,
    pub(crate) user_id: Option<Id<User>>,
    pub(crate) recipient: EmailAddress,
    pub(crate) category: Category,
    pub(crate) subject: String,
    pub(crate) html: String,
    pub(crate) text: String,
    pub(crate) attempts: i32,
    /// Whether it has its place among those of its day.
    pub(crate) admitted: bool,
    /// For how many more milliseconds another attempt may be under way; zero: none is.
    pub(crate) claimed_for: i64,
    pub(crate) created_at: DateTime<Utc>,
}

/// A mail to be written into the outbox.
pub(crate) struct NewEmail<'a> {
    pub(crate) id: Id<Email>,
    pub(crate) recipient: &'a EmailAddress,
    pub(crate) user: Option<Id<User>>,
    pub(crate) template: &'static str,
    pub(crate) category: Category,
    pub(crate) lets_in: bool,
    pub(crate) content: &'a Content,
}

impl NewEmail<'_> {
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into emails
                 (id, user_id, recipient, template, category, lets_in, subject, html, text, status,
                  created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10)",
            self.id as _,
            self.user as _,
            self.recipient as _,
            self.template,
            self.category as _,
            self.lets_in,
            self.content.subject,
            self.content.html,
            self.content.text,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Email {
    /// Reads the mail; `None` if it was sent or given up. Nobody else decides about it until the
    /// transaction ends.
    pub(crate) async fn lock(db: &mut PgConnection, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", recipient as "recipient: _",
                      category as "category: _", subject, html as "html!", text as "text!",
                      attempts, admitted,
                      (extract(epoch from greatest(claimed_until - clock_timestamp(), '0')) * 1000)::bigint
                          as "claimed_for!",
                      created_at
               from emails where id = $1 and status = 'queued' for update"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Counts an attempt that is about to be made, and is over after `lease`: nobody else makes one before.
    pub(crate) async fn claim(
        &mut self,
        db: &mut PgConnection,
        lease: TimeDelta,
    ) -> sqlx::Result<()> {
        self.attempts += 1;
        sqlx::query!(
            "update emails
             set attempts = $3, admitted = true,
                 claimed_until = clock_timestamp() + $4::bigint * interval '1 millisecond'
             where id = $1 and created_at = $2",
            self.id as _,
            self.created_at,
            self.attempts,
            lease.num_milliseconds(),
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes that the provider has it, unless the provider has told more of it meanwhile.
    pub(crate) async fn mark_sent(
        &self,
        db: impl PgExecutor<'_>,
        provider: &str,
        provider_id: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails
             set status = case when status = 'queued' then 'sent' else status end,
                 error = case when status <> 'queued' then error end,
                 sent_at = $3, provider = $4, provider_id = $5, html = null, text = null
             where id = $1 and created_at = $2",
            self.id as _,
            self.created_at,
            now,
            provider,
            provider_id,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes why it was not sent, to be tried again. `counts`: whether that was an attempt.
    pub(crate) async fn note(
        &self,
        db: impl PgExecutor<'_>,
        error: &str,
        counts: bool,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails set error = $3, attempts = $4, claimed_until = null
             where id = $1 and created_at = $2 and status = 'queued'",
            self.id as _,
            self.created_at,
            error,
            self.attempts - i32::from(!counts),
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Gives it up.
    pub(crate) async fn give_up(
        &self,
        db: impl PgExecutor<'_>,
        provider: &str,
        error: &str,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails
             set status = 'dead', provider = $3, error = $4,
                 html = case when not lets_in then html end, text = case when not lets_in then text end,
                 claimed_until = null
             where id = $1 and created_at = $2 and status = 'queued'",
            self.id as _,
            self.created_at,
            provider,
            error,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Does not send it, for a reason of ours.
    pub(crate) async fn suppress(&self, db: &mut PgConnection, reason: &str) -> sqlx::Result<()> {
        sqlx::query!(
            "update emails set status = 'suppressed', error = $3, html = null, text = null
             where id = $1 and created_at = $2",
            self.id as _,
            self.created_at,
            reason,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
