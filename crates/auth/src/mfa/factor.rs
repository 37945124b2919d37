use chrono::{DateTime, Utc};
use kernel::{Id, User};
use sqlx::{PgConnection, PgExecutor};

/// A person's authenticator, as stored.
pub(crate) struct SecondFactor {
    /// Sealed.
    pub(super) totp_secret: Vec<u8>,
    totp_last_step: i64,
    pub(super) confirmed_at: Option<DateTime<Utc>>,
}

/// What somebody has beside a password.
pub(crate) struct Factors {
    /// Since when codes of an authenticator are asked for.
    pub(super) authenticator_since: Option<DateTime<Utc>>,
    /// How many passkeys there are that open something.
    pub(crate) passkeys: i64,
    /// Of all of them, also those that were copied: whoever did that must not have turned the second
    /// factor off by it.
    passkey_since: Option<DateTime<Utc>>,
}

impl Factors {
    pub(crate) async fn of(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"select (select confirmed_at from second_factors where user_id = $1)
                          as authenticator_since,
                      count(*) filter (where copied_at is null) as "passkeys!",
                      min(created_at) as passkey_since
               from passkeys where user_id = $1"#,
            user as _,
        )
        .fetch_one(db)
        .await
    }

    /// Since when the password alone does not sign in.
    pub(crate) fn since(&self) -> Option<DateTime<Utc>> {
        [self.authenticator_since, self.passkey_since].into_iter().flatten().min()
    }
}

impl SecondFactor {
    /// Whether `user` must prove one to get in.
    pub(crate) async fn is_on(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<bool> {
        Ok(Factors::of(db, user).await?.since().is_some())
    }

    pub(super) async fn get(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select totp_secret, totp_last_step, confirmed_at from second_factors
             where user_id = $1",
            user as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Keeps an authenticator that has proved nothing yet, in place of an earlier one of that kind;
    /// `false` if one is on.
    pub(super) async fn prepare(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        totp_secret: &[u8],
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let prepared = sqlx::query!(
            "insert into second_factors as known (user_id, totp_secret, created_at)
             values ($1, $2, $3)
             on conflict (user_id) do update
             set totp_secret = $2, created_at = $3, totp_last_step = 0
             where known.confirmed_at is null",
            user as _,
            totp_secret,
            now,
        );
        Ok(prepared.execute(db).await?.rows_affected() == 1)
    }

    pub(super) async fn confirm(
        db: &mut PgConnection,
        user: Id<User>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update second_factors set confirmed_at = $2 where user_id = $1",
            user as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Uses up the code of `step`: each works once, and none that is older than the last one used.
    pub(super) async fn advance(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        step: i64,
    ) -> sqlx::Result<bool> {
        if step <= self.totp_last_step {
            return Ok(false);
        }
        let advanced = sqlx::query!(
            "update second_factors set totp_last_step = $2
             where user_id = $1 and totp_last_step < $2",
            user as _,
            step,
        );
        Ok(advanced.execute(db).await?.rows_affected() == 1)
    }

    /// Removes one that was not on yet at a time.
    pub(crate) async fn remove_newer(
        db: &mut PgConnection,
        user: Id<User>,
        than: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "delete from second_factors
             where user_id = $1 and (confirmed_at is null or confirmed_at > $2)",
            user as _,
            than,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// `false` if there was none.
    pub(crate) async fn remove(db: &mut PgConnection, user: Id<User>) -> sqlx::Result<bool> {
        let removed = sqlx::query!("delete from second_factors where user_id = $1", user as _);
        Ok(removed.execute(db).await?.rows_affected() == 1)
    }
}
