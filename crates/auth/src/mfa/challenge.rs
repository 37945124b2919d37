use chrono::{DateTime, Utc};
use kernel::{Id, User};
use sqlx::{PgConnection, PgExecutor};

use crate::{lifetimes, secrets::secret};

/// How often a code may be wrong before the first factor must be proved again.
const TRIES: i32 = 5;

/// Whoever holds its secret has proved the first factor, and owes the second. It opens nothing else.
pub(crate) struct Challenge {
    pub(crate) user: Id<User>,
}

impl Challenge {
    /// Answers the secret.
    pub(crate) async fn issue(
        db: &mut PgConnection,
        user: Id<User>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<String> {
        let token = secret::random();
        sqlx::query!(
            "insert into sign_in_challenges (hash, user_id, created_at, expires_at)
             values ($1, $2, $3, $4)",
            &secret::hash(&token),
            user as _,
            now,
            now + lifetimes::SIGN_IN_STEP,
        )
        .execute(db)
        .await?;
        Ok(token)
    }

    /// Whose it is, counting one attempt.
    pub(crate) async fn attempt(
        db: impl PgExecutor<'_>,
        token: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"update sign_in_challenges set tries = tries + 1
               where hash = $1 and expires_at > $2 and tries < $3
               returning user_id as "user: _""#,
            &secret::hash(token),
            now,
            TRIES,
        )
        .fetch_optional(db)
        .await
    }

    /// Whose it is. No attempt is counted: nothing is guessed.
    pub(crate) async fn holder(
        db: impl PgExecutor<'_>,
        token: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Id<User>>> {
        sqlx::query_scalar!(
            r#"select user_id as "user: _" from sign_in_challenges
               where hash = $1 and expires_at > $2 and tries < $3"#,
            &secret::hash(token),
            now,
            TRIES,
        )
        .fetch_optional(db)
        .await
    }

    /// Uses it up; of two at once, one succeeds.
    pub(crate) async fn consume(db: &mut PgConnection, token: &str) -> sqlx::Result<bool> {
        let hash = secret::hash(token);
        let used = sqlx::query!("delete from sign_in_challenges where hash = $1", &hash);
        Ok(used.execute(db).await?.rows_affected() == 1)
    }

    /// Voids those of `user`.
    pub(crate) async fn void_all(db: &mut PgConnection, user: Id<User>) -> sqlx::Result<()> {
        sqlx::query!("delete from sign_in_challenges where user_id = $1", user as _)
            .execute(db)
            .await?;
        Ok(())
    }
}
