use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use sqlx::PgConnection;

use crate::{
    Email, Mailer,
    outbox::Status,
    suppressions::{Reason, Suppression},
};

/// The longest id of a message that is taken for one.
const LONGEST_ID: usize = 200;
/// How much of a reason is kept.
const LONGEST_DETAIL: usize = 300;

/// What a provider tells about one mail, in its own words read by its own file.
#[derive(Debug)]
pub(super) struct Told<'a> {
    /// Names the message, also when it is sent again.
    pub(super) id: &'a str,
    /// Who took the mail, as the log calls it.
    pub(super) transport: &'static str,
    /// Which mail, by what we sent along.
    pub(super) email: Option<Id<Email>>,
    /// Which mail, by what the provider calls it.
    pub(super) provider_id: Option<&'a str>,
    pub(super) what: What,
    pub(super) detail: Option<String>,
    pub(super) occurred_at: DateTime<Utc>,
}

/// What happened to a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Sent,
    Delivered,
    Delayed,
    /// `for_good`: nobody lives there. A mailbox that is full for a while is no reason to send nothing more.
    Bounced {
        for_good: bool,
    },
    Complained,
    Suppressed,
    Failed,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Delayed => "delayed",
            Self::Bounced { .. } => "bounced",
            Self::Complained => "complained",
            Self::Suppressed => "suppressed",
            Self::Failed => "failed",
        }
    }

    fn status(self) -> Option<Status> {
        match self {
            Self::Sent => Some(Status::Sent),
            Self::Delivered => Some(Status::Delivered),
            Self::Delayed => None,
            Self::Bounced { .. } => Some(Status::Bounced),
            Self::Complained => Some(Status::Complained),
            Self::Suppressed => Some(Status::Suppressed),
            Self::Failed => Some(Status::Dead),
        }
    }

    /// Whether nothing more may go to the address.
    fn suppresses(self) -> Option<Reason> {
        match self {
            Self::Bounced { for_good: true } => Some(Reason::HardBounce),
            Self::Complained => Some(Reason::Complaint),
            _ => None,
        }
    }
}

/// The mail that is told of.
struct About {
    id: Id<Email>,
    recipient: EmailAddress,
}

impl Mailer {
    /// Applies what was told, all or nothing. What is told twice counts once, in whatever order it comes.
    pub(super) async fn apply(&self, told: &[Told<'_>]) -> sqlx::Result<()> {
        let mut tx = self.db.begin().await?;
        let now = self.clock.now();
        for told in told.iter().filter(|it| (1..=LONGEST_ID).contains(&it.id.len())) {
            told.apply(&mut tx, now).await?;
        }
        tx.commit().await
    }
}

impl Told<'_> {
    async fn apply(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        let kind = self.what.name();
        let Some(mail) = self.mail(&mut *db).await? else {
            // Another program of the same account sends mails too.
            tracing::debug!(kind, "an event is about no mail of ours");
            return Ok(());
        };
        if !self.note(&mut *db, &mail, now).await? {
            return Ok(());
        }
        if let Some(status) = self.what.status() {
            self.advance(&mut *db, &mail, status).await?;
        }
        if let Some(reason) = self.what.suppresses() {
            let suppression = Suppression::of(mail.recipient, reason).because_of(mail.id);
            suppression.insert(db, now).await?;
        }
        metrics::counter!("email_events_total", "kind" => kind).increment(1);
        Ok(())
    }

    fn detail(&self) -> Option<String> {
        let detail = self.detail.as_ref()?.chars().filter(|c| !c.is_control());
        Some(detail.take(LONGEST_DETAIL).collect())
    }

    /// By what we sent along, if it comes back, since a message may come before the answer that names the mail.
    async fn mail(&self, db: &mut PgConnection) -> sqlx::Result<Option<About>> {
        sqlx::query_as!(
            About,
            r#"select id as "id: _", recipient as "recipient: _" from emails
               where case when $1::uuid is not null then id = $1 else provider_id = $2 end
               limit 1"#,
            self.email as _,
            self.provider_id,
        )
        .fetch_optional(db)
        .await
    }

    /// Writes the message down; false if that was done before.
    async fn note(
        &self,
        db: &mut PgConnection,
        mail: &About,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "insert into email_events (id, email_id, kind, detail, occurred_at, received_at)
             values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing",
            self.id,
            mail.id as _,
            self.what.name(),
            self.detail(),
            self.occurred_at,
            now,
        )
        .execute(db)
        .await?;
        Ok(noted.rows_affected() == 1)
    }

    async fn advance(
        &self,
        db: &mut PgConnection,
        mail: &About,
        status: Status,
    ) -> sqlx::Result<()> {
        let from: Vec<String> = status.follows().iter().map(ToString::to_string).collect();
        sqlx::query!(
            "update emails
             set status = $2, error = $3, provider = $4,
                 provider_id = coalesce(provider_id, $5), sent_at = coalesce(sent_at, $6),
                 html = null, text = null
             where id = $1 and status = any ($7)",
            mail.id as _,
            status as _,
            self.detail(),
            self.transport,
            self.provider_id,
            self.occurred_at,
            &from,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
