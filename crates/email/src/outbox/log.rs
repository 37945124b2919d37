use chrono::{DateTime, TimeDelta, Utc};
use kernel::{EmailAddress, Id, User};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::{IntoParams, ToSchema};
use web::PageQuery;

use super::{Email, SendEmail, Status};
use crate::Category;

/// A mail as the log shows it: everything but what it says.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EmailRecord)]
pub struct EmailRecord {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Email>,
    /// The account it is about.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub user_id: Option<Id<User>>,
    /// Where it goes.
    pub recipient: EmailAddress,
    /// The kind of mail, such as `welcome`.
    pub template: String,
    /// What it is for.
    pub category: Category,
    /// Its subject line.
    pub subject: String,
    /// What has become of it.
    pub status: Status,
    /// How often it was tried to hand it over.
    pub attempts: i32,
    /// Why it was not sent, or not yet.
    pub error: Option<String>,
    /// Who took it: `smtp` or `resend`.
    pub provider: Option<String>,
    /// What the provider calls it.
    pub provider_id: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When the provider took it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Which mails to list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EmailQuery {
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those of this kind.
    pub template: Option<String>,
    /// Only those to this address.
    pub recipient: Option<EmailAddress>,
    /// Items per page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl EmailQuery {
    /// The part about pages.
    pub fn page(&self) -> PageQuery {
        PageQuery { limit: self.limit.unwrap_or(20), cursor: self.cursor.clone() }
    }
}

/// Something the provider told about a mail.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EmailEvent)]
pub struct EmailEvent {
    /// What, such as `delivered`.
    pub kind: String,
    /// The reason it gave.
    pub detail: Option<String>,
    /// When that happened.
    pub occurred_at: DateTime<Utc>,
}

/// How many mails there are in each state, of those queued within some days.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EmailRates)]
pub struct Rates {
    /// All of them.
    pub total: i64,
    /// Waiting.
    pub queued: i64,
    /// Handed over, and nothing told of them since.
    pub sent: i64,
    /// Arrived.
    pub delivered: i64,
    /// Refused by the reader's server.
    pub bounced: i64,
    /// Called spam.
    pub complained: i64,
    /// Not sent, for a reason of ours.
    pub suppressed: i64,
    /// Given up.
    pub dead: i64,
    /// Delivered mails among all that were handed over, in percent.
    pub delivered_percent: f64,
    /// Bounced mails among them. Providers stop senders with more than 4 or 5.
    pub bounced_percent: f64,
    /// Complaints among them. Mailbox providers stop senders with more than 0.3.
    pub complained_percent: f64,
}

impl EmailRecord {
    /// Those that fit `query`, the newest first.
    pub async fn list(
        db: impl PgExecutor<'_>,
        query: &EmailQuery,
        before: Option<Id<Email>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", recipient as "recipient: _", template,
                      category as "category: _", subject, status as "status: _", attempts, error,
                      provider, provider_id, created_at, sent_at
               from emails
               where ($1::text is null or status = $1)
                 and ($2::text is null or template = $2)
                 and ($3::text is null or recipient = $3)
                 and ($4::uuid is null or id < $4)
               order by id desc
               limit $5"#,
            query.status as _,
            query.template,
            query.recipient.as_ref().map(EmailAddress::as_str),
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of them.
    pub async fn get(db: impl PgExecutor<'_>, id: Id<Email>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user_id: _", recipient as "recipient: _", template,
                      category as "category: _", subject, status as "status: _", attempts, error,
                      provider, provider_id, created_at, sent_at
               from emails where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Queues a mail again that was given up; false if it was not, or if what it said is erased.
    ///
    /// It keeps its idempotency key: had an attempt arrived after all, Resend would not send it twice.
    pub async fn retry(db: &mut PgConnection, id: Id<Email>) -> sqlx::Result<bool> {
        let category = sqlx::query_scalar!(
            r#"update emails set status = 'queued', attempts = 0, error = null
               where id = $1 and status = 'dead' and html is not null and text is not null
               returning category as "category: Category""#,
            id as _,
        )
        .fetch_optional(&mut *db)
        .await?;
        let Some(category) = category else { return Ok(false) };
        SendEmail::of(id).queued(category).send(db).await?;
        Ok(true)
    }
}

impl EmailEvent {
    /// What the provider told of a mail, in order.
    pub async fn of(db: impl PgExecutor<'_>, email: Id<Email>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            "select kind, detail, occurred_at from email_events
             where email_id = $1 order by occurred_at, id",
            email as _,
        )
        .fetch_all(db)
        .await
    }
}

impl Rates {
    /// Of the `days` days before `now`.
    pub async fn of_days(
        db: impl PgExecutor<'_>,
        days: u16,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        let since = now - TimeDelta::days(i64::from(days));
        let rows = sqlx::query!(
            r#"select status as "status: Status", count(*) as "count!"
               from emails where created_at > $1 group by status"#,
            since,
        )
        .fetch_all(db)
        .await?;
        let count = |status| rows.iter().filter(|it| it.status == status).map(|it| it.count).sum();
        let (delivered, bounced): (i64, i64) = (count(Status::Delivered), count(Status::Bounced));
        let (sent, complained): (i64, i64) = (count(Status::Sent), count(Status::Complained));
        let handed_over = sent + delivered + bounced + complained;
        Ok(Self {
            total: rows.iter().map(|it| it.count).sum(),
            queued: count(Status::Queued),
            sent,
            delivered,
            bounced,
            complained,
            suppressed: count(Status::Suppressed),
            dead: count(Status::Dead),
            delivered_percent: percent(delivered + complained, handed_over),
            bounced_percent: percent(bounced, handed_over),
            complained_percent: percent(complained, handed_over),
        })
    }
}

/// To two places.
fn percent(part: i64, whole: i64) -> f64 {
    let hundredths = if whole == 0 { 0 } else { part * 10_000 / whole };
    f64::from(i32::try_from(hundredths).unwrap_or(i32::MAX)) / 100.0
}
