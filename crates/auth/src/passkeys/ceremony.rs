use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{PgExecutor, types::Json};

use crate::{lifetimes, secrets::secret};

/// What an answer is good for, and for nothing else.
#[derive(Clone, Copy, Debug, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(super) enum Purpose {
    Registration,
    SignIn,
    /// That somebody who is signed in is still who they are.
    Proof,
}

/// A challenge that waits for what a passkey makes of it. Kept in the database, so that any instance
/// takes the answer.
pub(crate) struct Ceremony<S> {
    /// Whose passkey it must be; `None`: whose it is tells who signs in.
    pub(super) user: Option<Id<User>>,
    /// What the library compares the answer with.
    pub(super) state: Json<S>,
}

impl<S: Serialize> Ceremony<S> {
    /// Answers the secret that the answer comes with.
    pub(super) async fn begin(
        self,
        db: impl PgExecutor<'_>,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> sqlx::Result<String> {
        let token = secret::random();
        sqlx::query!(
            "insert into passkey_ceremonies (hash, purpose, user_id, state, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            &secret::hash(&token),
            purpose as _,
            self.user as _,
            self.state as _,
            now,
            now + lifetimes::PASSKEY_CEREMONY,
        )
        .execute(db)
        .await?;
        Ok(token)
    }
}

impl<S: DeserializeOwned + Send + Unpin> Ceremony<S> {
    /// Ends it. Whatever comes of it, it does not work twice.
    pub(super) async fn end(
        db: impl PgExecutor<'_>,
        token: &str,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"delete from passkey_ceremonies
               where hash = $1 and purpose = $2 and expires_at > $3
               returning user_id as "user: _", state as "state: _""#,
            &secret::hash(token),
            purpose as _,
            now,
        )
        .fetch_optional(db)
        .await
    }
}

/// Ends those of `user`.
pub(crate) async fn void_all(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<()> {
    sqlx::query!("delete from passkey_ceremonies where user_id = $1", user as _)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes those that were not answered in time.
pub(crate) async fn purge(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("delete from passkey_ceremonies where expires_at < $1", now).execute(db).await?;
    Ok(())
}
