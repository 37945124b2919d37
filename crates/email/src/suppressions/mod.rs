//! Addresses that get no mail, or none of a category.

use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Category, Email};

/// One reason why an address gets no mail.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EmailSuppression)]
pub struct Suppression {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Suppression>,
    /// The address.
    pub address: EmailAddress,
    /// Why.
    pub reason: Reason,
    /// Which mails it stops, if its reader has unsubscribed from some only.
    pub category: Option<Category>,
    /// The mail that led to it.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub email_id: Option<Id<Email>>,
    /// What an operator had to say.
    pub note: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// Why an address gets no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = EmailSuppressionReason)]
pub enum Reason {
    /// Nobody lives there.
    HardBounce,
    /// They called a mail spam.
    Complaint,
    /// They want no more mails of a category.
    Unsubscribed,
    /// An operator says so.
    Manual,
}

impl Reason {
    /// Why it stops a mail of `category`, if it does.
    ///
    /// Where nobody lives, or an operator says so, nothing is sent. A complaint stops everything but what
    /// people need to get into their account: whoever locks themselves out asks for such a mail.
    fn stops(self, category: Category) -> Option<&'static str> {
        match self {
            Self::HardBounce => Some("an earlier mail to the address bounced"),
            Self::Manual => Some("an operator has suppressed the address"),
            Self::Complaint if category == Category::Security => None,
            Self::Complaint => Some("the reader called an earlier mail spam"),
            Self::Unsubscribed if !category.is_optional() => None,
            Self::Unsubscribed => Some("the reader has unsubscribed"),
        }
    }
}

impl Suppression {
    /// One to be written down.
    pub fn of(address: EmailAddress, reason: Reason) -> Self {
        let created_at = DateTime::UNIX_EPOCH;
        let id = Id::new();
        Self { id, address, reason, category: None, email_id: None, note: None, created_at }
    }

    /// Names the mail that led to it.
    #[must_use]
    pub fn because_of(self, email: Id<Email>) -> Self {
        Self { email_id: Some(email), ..self }
    }

    /// Writes it down; answers the one that was there before, if there is one like it.
    pub async fn insert(mut self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"insert into email_suppressions
                   (id, address, reason, category, email_id, note, created_at)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (address, reason, coalesce(category, ''))
               do update set note = coalesce(excluded.note, email_suppressions.note)
               returning id as "id: Id<Suppression>", created_at"#,
            self.id as _,
            self.address.as_str(),
            self.reason as _,
            self.category as _,
            self.email_id as _,
            self.note,
            now,
        )
        .fetch_one(db)
        .await?;
        (self.id, self.created_at) = (row.id, row.created_at);
        Ok(self)
    }

    /// Why a mail of `category` must not go to `address`, if so.
    pub(crate) async fn against(
        db: impl PgExecutor<'_>,
        address: &EmailAddress,
        category: Category,
    ) -> sqlx::Result<Option<&'static str>> {
        let reasons = sqlx::query_scalar!(
            r#"select reason as "reason: Reason" from email_suppressions
               where address = $1 and (category is null or category = $2)
               order by created_at"#,
            address.as_str(),
            category as _,
        )
        .fetch_all(db)
        .await?;
        Ok(reasons.into_iter().find_map(|reason| reason.stops(category)))
    }

    /// The newest first, of one address or of all.
    pub async fn list(
        db: impl PgExecutor<'_>,
        address: Option<&EmailAddress>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", address as "address: _", reason as "reason: _",
                      category as "category: _", email_id as "email_id: _", note, created_at
               from email_suppressions
               where ($1::text is null or address = $1) and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            address.map(EmailAddress::as_str),
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Takes it off the list; answers what it was.
    pub async fn remove(db: &mut PgConnection, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"delete from email_suppressions where id = $1
               returning id as "id: _", address as "address: _", reason as "reason: _",
                         category as "category: _", email_id as "email_id: _", note, created_at"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use crate::Category;

    #[test]
    fn a_complaint_stops_everything_but_what_people_need_to_get_in() {
        assert!(Reason::Complaint.stops(Category::Security).is_none());
        assert!(Reason::Complaint.stops(Category::Account).is_some());
        assert!(Reason::Complaint.stops(Category::Digest).is_some());
        assert!(Reason::HardBounce.stops(Category::Security).is_some());
        assert!(Reason::Manual.stops(Category::Security).is_some());
        assert!(Reason::Unsubscribed.stops(Category::Account).is_none());
        assert!(Reason::Unsubscribed.stops(Category::Nudges).is_some());
    }
}
