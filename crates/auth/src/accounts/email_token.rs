use chrono::{DateTime, TimeDelta, Utc};
use kernel::{EmailAddress, Id, User};
use sqlx::{PgConnection, PgExecutor};

use crate::{lifetimes, secrets::secret};

/// The secret part of a link in a mail. It works once, and only the newest of its purpose does.
pub(crate) struct EmailToken {
    pub(crate) user: Id<User>,
    pub(crate) email: EmailAddress,
    pub(crate) created_at: DateTime<Utc>,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Purpose {
    ResetPassword,
    /// Goes to the new address.
    ChangeEmail,
    /// Goes to the old address, and outlives everything that happens to the account meanwhile.
    UndoEmailChange,
}

impl Purpose {
    fn lifetime(self) -> TimeDelta {
        match self {
            Self::ResetPassword | Self::ChangeEmail => lifetimes::LINK_THAT_LETS_IN,
            Self::UndoEmailChange => lifetimes::UNDO_EMAIL_CHANGE,
        }
    }
}

impl EmailToken {
    /// Makes a token for `user`, whose row the caller has locked. Earlier ones stop working, but for
    /// those that undo: a second change must not take the first one's owner's way back.
    pub(crate) async fn issue(
        db: &mut PgConnection,
        user: Id<User>,
        email: &EmailAddress,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> sqlx::Result<String> {
        let token = secret::random();
        sqlx::query!(
            "delete from email_tokens
             where user_id = $1 and purpose = $2 and purpose <> 'undo_email_change'",
            user as _,
            purpose as _,
        )
        .execute(&mut *db)
        .await?;
        sqlx::query!(
            "insert into email_tokens (hash, user_id, purpose, email, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            &secret::hash(&token),
            user as _,
            purpose as _,
            email as _,
            now,
            now + purpose.lifetime(),
        )
        .execute(db)
        .await?;
        Ok(token)
    }

    /// Who `token` was sent to, if it still works.
    pub(crate) async fn find(
        db: impl PgExecutor<'_>,
        token: &str,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select user_id as "user: _", email as "email: _", created_at
               from email_tokens
               where hash = $1 and purpose = $2 and used_at is null and expires_at > $3"#,
            &secret::hash(token),
            purpose as _,
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// Uses `token` up, if it still works; of two at once, one succeeds.
    pub(crate) async fn consume(
        db: &mut PgConnection,
        token: &str,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"update email_tokens set used_at = $3
               where hash = $1 and purpose = $2 and used_at is null and expires_at > $3
               returning user_id as "user: _", email as "email: _", created_at"#,
            &secret::hash(token),
            purpose as _,
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// Voids every link that was sent to `user`, but for those that undo a change of the address:
    /// whoever took an account over must not be able to take them away.
    pub(crate) async fn void_all(db: &mut PgConnection, user: Id<User>) -> sqlx::Result<()> {
        sqlx::query!(
            "delete from email_tokens where user_id = $1 and purpose <> 'undo_email_change'",
            user as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
