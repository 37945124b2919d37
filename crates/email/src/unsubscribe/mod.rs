//! Ending mails of a kind with one click, from a link that only the mail's reader has.

mod routes;
mod token;

use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, User};
use sqlx::PgExecutor;
use url::Url;

use crate::{
    Category, Email, Mailer,
    preferences::Preferences,
    suppressions::{Reason, Suppression},
};

pub(crate) use routes::routes;
pub(crate) use token::Tokens;

/// Whom a mail was for, as far as it can be ended.
struct Subscription {
    user: Option<Id<User>>,
    recipient: EmailAddress,
    category: Category,
}

impl Subscription {
    async fn of(db: impl PgExecutor<'_>, email: Id<Email>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select user_id as "user: _", recipient as "recipient: _", category as "category: _"
               from emails where id = $1"#,
            email as _,
        )
        .fetch_optional(db)
        .await
    }
}

impl Mailer {
    /// Where mails like `email` are ended.
    pub(crate) fn unsubscribe_link(&self, email: Id<Email>) -> Url {
        let mut link = self.brand.app_url.clone();
        link.set_path(&format!("/v1/email-unsubscribes/{}", self.tokens.of(email)));
        link
    }

    /// Ends mails like the one that `token` came with; answers which those are. `None`: it came with none.
    async fn unsubscribe(&self, token: &str, now: DateTime<Utc>) -> sqlx::Result<Option<Category>> {
        let Some(email) = self.tokens.verify(token) else { return Ok(None) };
        let mut tx = self.db.begin().await?;
        let Some(it) = Subscription::of(&mut *tx, email).await? else { return Ok(None) };
        if !it.category.is_optional() {
            return Ok(None);
        }
        if let Some(user) = it.user {
            Preferences::turn(&mut tx, user, it.category, false, now).await?;
        } else {
            let suppression = Suppression::of(it.recipient, Reason::Unsubscribed);
            let suppression = Suppression { category: Some(it.category), ..suppression };
            suppression.because_of(email).insert(&mut tx, now).await?;
        }
        tx.commit().await?;
        Ok(Some(it.category))
    }
}
