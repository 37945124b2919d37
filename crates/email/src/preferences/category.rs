use std::collections::HashSet;

use kernel::{Id, User};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a mail is for, which decides whether people can do without it and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = EmailCategory)]
pub enum Category {
    /// Who may get in: links, codes, changed passwords. Always sent, even after a complaint.
    Security,
    /// What an account or a contract needs: invitations, receipts, failed payments. Always sent.
    Account,
    /// Credits that run out, quotas that are reached.
    Usage,
    /// Work in the background that has ended.
    Renders,
    /// What the organization did in a week.
    Digest,
    /// Reminders of a product that is not used.
    Nudges,
    /// What operators announce to everybody.
    News,
}

impl Category {
    /// Those that people can do without.
    pub const OPTIONAL: [Self; 5] =
        [Self::Usage, Self::Renders, Self::Digest, Self::Nudges, Self::News];

    /// Whether people can do without it. Those mails can be ended with one click, are few a day, and
    /// go last.
    pub fn is_optional(self) -> bool {
        Self::OPTIONAL.contains(&self)
    }

    /// Its name in the API and the outbox.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Account => "account",
            Self::Usage => "usage",
            Self::Renders => "renders",
            Self::Digest => "digest",
            Self::Nudges => "nudges",
            Self::News => "news",
        }
    }

    /// Who of `users` has turned it off: there is no use in writing to them.
    pub async fn turned_off_by(
        self,
        db: impl PgExecutor<'_>,
        users: &[Id<User>],
    ) -> sqlx::Result<HashSet<Id<User>>> {
        let users: Vec<Uuid> = users.iter().map(|user| user.uuid()).collect();
        let unwilling = sqlx::query_scalar!(
            r#"select user_id as "user: Id<User>" from email_preferences
               where user_id = any ($1) and $2 = any (turned_off)"#,
            &users,
            self.tag(),
        )
        .fetch_all(db)
        .await?;
        Ok(unwilling.into_iter().collect())
    }

    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Security => "mails about your account's security",
            Self::Account => "mails about your account",
            Self::Usage => "mails about credits and quotas",
            Self::Renders => "mails about finished work",
            Self::Digest => "the weekly digest",
            Self::Nudges => "reminders",
            Self::News => "announcements",
        }
    }
}
