use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    Email,
    outbox::Status,
    suppressions::{Reason, Suppression},
    transport::TAG,
};

/// A message of Resend's about one mail.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    kind: String,
    created_at: DateTime<Utc>,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    email_id: Option<String>,
    /// An object, or a list of names and values.
    #[serde(default)]
    tags: Value,
    bounce: Option<Bounce>,
    failed: Option<Failed>,
}

#[derive(Deserialize)]
struct Bounce {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    reason: String,
}

/// The mail that an event is about.
struct About {
    id: Id<Email>,
    recipient: EmailAddress,
}

impl Event {
    /// Applies it, once. Messages come twice and in any order: what a mail becomes depends on neither.
    pub(super) async fn apply(
        &self,
        db: &mut PgConnection,
        id: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let Some((kind, status)) = self.meaning() else { return Ok(()) };
        let Some(mail) = self.mail(&mut *db).await? else {
            // Another program of the same account sends mails too.
            tracing::debug!(kind, "an event is about no mail of ours");
            return Ok(());
        };
        let detail = self.detail();
        if !self.note(&mut *db, id, &mail, kind, detail.as_deref(), now).await? {
            return Ok(());
        }
        if let Some(status) = status {
            self.advance(&mut *db, &mail, status, detail.as_deref()).await?;
        }
        if let Some(reason) = self.suppresses() {
            let suppression = Suppression::of(mail.recipient, reason).because_of(mail.id);
            suppression.insert(db, now).await?;
        }
        metrics::counter!("email_events_total", "kind" => kind).increment(1);
        Ok(())
    }

    /// What it tells; `None` for what nothing here depends on, such as who opened a mail.
    fn meaning(&self) -> Option<(&'static str, Option<Status>)> {
        match self.kind.as_str() {
            "email.sent" => Some(("sent", Some(Status::Sent))),
            "email.delivered" => Some(("delivered", Some(Status::Delivered))),
            "email.delivery_delayed" => Some(("delayed", None)),
            "email.bounced" => Some(("bounced", Some(Status::Bounced))),
            "email.complained" => Some(("complained", Some(Status::Complained))),
            "email.suppressed" => Some(("suppressed", Some(Status::Suppressed))),
            "email.failed" => Some(("failed", Some(Status::Dead))),
            _ => None,
        }
    }

    /// Whether nothing more may go to the address. A mailbox that is full for a while is no reason.
    fn suppresses(&self) -> Option<Reason> {
        let temporary = self
            .data
            .bounce
            .as_ref()
            .is_some_and(|it| matches!(&*it.kind, "Transient" | "Undetermined"));
        match self.kind.as_str() {
            "email.bounced" if !temporary => Some(Reason::HardBounce),
            "email.complained" => Some(Reason::Complaint),
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        let bounce = self.data.bounce.as_ref().map(|it| format!("{}: {}", it.kind, it.message));
        let detail = bounce.or_else(|| self.data.failed.as_ref().map(|it| it.reason.clone()))?;
        Some(detail.chars().filter(|c| !c.is_control()).take(300).collect())
    }

    /// By the tag that we sent along, since a message may come before the answer that names the mail.
    async fn mail(&self, db: &mut PgConnection) -> sqlx::Result<Option<About>> {
        let tagged = match &self.data.tags {
            Value::Object(tags) => tags.get(TAG).and_then(Value::as_str),
            Value::Array(tags) => {
                let tag = tags.iter().find(|it| it["name"] == TAG);
                tag.and_then(|it| it["value"].as_str())
            }
            _ => None,
        };
        let tagged: Option<Id<Email>> = tagged.and_then(|id| id.parse().ok());
        sqlx::query_as!(
            About,
            r#"select id as "id: _", recipient as "recipient: _" from emails
               where case when $1::uuid is not null then id = $1 else provider_id = $2 end
               limit 1"#,
            tagged as _,
            self.data.email_id,
        )
        .fetch_optional(db)
        .await
    }

    /// Writes the message down; false if that was done before.
    async fn note(
        &self,
        db: &mut PgConnection,
        id: &str,
        mail: &About,
        kind: &str,
        detail: Option<&str>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "insert into email_events (id, email_id, kind, detail, occurred_at, received_at)
             values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing",
            id,
            mail.id as _,
            kind,
            detail,
            self.created_at,
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
        detail: Option<&str>,
    ) -> sqlx::Result<()> {
        let from: Vec<String> = status.follows().iter().map(ToString::to_string).collect();
        sqlx::query!(
            "update emails
             set status = $2, error = $3, provider = 'resend',
                 provider_id = coalesce(provider_id, $4), sent_at = coalesce(sent_at, $5),
                 html = null, text = null
             where id = $1 and status = any ($6)",
            mail.id as _,
            status as _,
            detail,
            self.data.email_id,
            self.created_at,
            &from,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
