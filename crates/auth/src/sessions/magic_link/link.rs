use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, User};
use sqlx::{PgConnection, PgExecutor};

use crate::lifetimes;

/// How often a code may be typed wrong.
const TRIES: i32 = 5;

/// A code that was asked for, bound to whoever asked.
pub(crate) struct MagicLink {
    pub(super) email: EmailAddress,
    /// `None` where there is no account, or until the mail is written.
    pub(super) code_hash: Option<Vec<u8>>,
}

impl MagicLink {
    pub(super) async fn insert(
        db: &mut PgConnection,
        challenge_hash: &[u8],
        email: &EmailAddress,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into magic_links (challenge_hash, email, created_at, expires_at)
             values ($1, $2, $3, $4)",
            challenge_hash,
            email as _,
            now,
            now + lifetimes::SIGN_IN_STEP,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// `false` if it is not waiting for one any more.
    pub(super) async fn set_code(
        db: &mut PgConnection,
        challenge_hash: &[u8],
        code_hash: &[u8],
    ) -> sqlx::Result<bool> {
        let set = sqlx::query!(
            "update magic_links set code_hash = $2 where challenge_hash = $1 and code_hash is null",
            challenge_hash,
            code_hash,
        );
        Ok(set.execute(db).await?.rows_affected() == 1)
    }

    /// What was asked for, counting one attempt at its code.
    pub(super) async fn attempt(
        db: impl PgExecutor<'_>,
        challenge_hash: &[u8],
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"update magic_links set tries = tries + 1
               where challenge_hash = $1 and expires_at > $2 and tries < $3
               returning email as "email: _", code_hash"#,
            challenge_hash,
            now,
            TRIES,
        )
        .fetch_optional(db)
        .await
    }

    /// Uses it up; of two at once, one succeeds.
    pub(super) async fn consume(
        db: &mut PgConnection,
        challenge_hash: &[u8],
    ) -> sqlx::Result<bool> {
        let used =
            sqlx::query!("delete from magic_links where challenge_hash = $1", challenge_hash);
        Ok(used.execute(db).await?.rows_affected() == 1)
    }

    /// Voids every code that was sent to `user`.
    pub(crate) async fn void_all(db: &mut PgConnection, user: Id<User>) -> sqlx::Result<()> {
        sqlx::query!(
            "delete from magic_links where email = (select lower(email) from users where id = $1)",
            user as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
