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
    ///
    /// Rows are locked in one order, first mails and then addresses: two batches that name the same ones the other
    /// way round wait for each other, and not both.
    pub(super) async fn apply(&self, told: &[Told<'_>]) -> sqlx::Result<()> {
        let mut tx = self.db.begin().await?;
        let now = self.clock.now();
        let mut about = Vec::new();
        for told in told.iter().filter(|it| it.has_an_id()) {
            match told.mail(&mut tx).await? {
                Some(mail) => about.push((mail, told)),
                // Another program of the same account sends mails too.
                None => {
                    tracing::debug!(kind = told.what.name(), "an event is about no mail of ours");
                }
            }
        }
        about.sort_by_key(|(mail, told)| (mail.id.uuid(), told.id));
        let mut stopped = Vec::new();
        for (mail, told) in about {
            if told.apply(&mut tx, &mail, now).await? {
                let stops = |reason| Suppression::of(mail.recipient, reason).because_of(mail.id);
                stopped.extend(told.what.suppresses().map(stops));
            }
        }
        stopped.sort_by(|one, other| one.address.as_str().cmp(other.address.as_str()));
        for suppression in stopped {
            suppression.insert(&mut tx, now).await?;
        }
        tx.commit().await
    }
}

impl Told<'_> {
    fn has_an_id(&self) -> bool {
        (1..=LONGEST_ID).contains(&self.id.len()) && !self.id.contains(char::is_control)
    }

    /// False if that was done before.
    async fn apply(
        &self,
        db: &mut PgConnection,
        mail: &About,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        if !self.note(&mut *db, mail, now).await? {
            return Ok(false);
        }
        if let Some(status) = self.what.status() {
            self.advance(db, mail, status).await?;
        }
        metrics::counter!("email_events_total", "kind" => self.what.name()).increment(1);
        Ok(true)
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
