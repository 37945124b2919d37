use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use sqlx::PgExecutor;

use crate::{
    lifetimes,
    secrets::{keys::Key, secret},
    sessions::transport::Transport,
};

/// Somebody has gone to a provider and is to come back, in the same browser.
pub(crate) struct SocialLogin {
    pub(super) provider: String,
    pub(super) transport: Transport,
    /// Who wants to sign in with it in future; `None`: somebody signs in now.
    pub(super) user: Option<Id<User>>,
    /// What is kept of the invite code that they may register with.
    pub(super) invite_code: Option<Vec<u8>>,
}

/// What one sign-in is recognised by. All of it follows from the state, so nothing is stored.
pub(super) struct Secrets {
    /// Goes to the provider and comes back.
    pub(super) state: String,
    /// Comes back inside of the identity token.
    pub(super) nonce: String,
    /// Shows that whoever exchanges the code has asked for it (PKCE).
    pub(super) verifier: String,
}

impl Secrets {
    pub(super) fn of(key: &Key, state: &str) -> Self {
        let derived = |purpose: &str| {
            BASE64_URL_SAFE_NO_PAD
                .encode(sealing::derive(&key.social, &format!("{purpose} {state}")))
        };
        Self { nonce: derived("nonce"), verifier: derived("verifier"), state: state.to_owned() }
    }
}

impl SocialLogin {
    /// Keeps what is to come back with `state`. Answers what binds it to the browser.
    pub(super) async fn begin(
        self,
        db: impl PgExecutor<'_>,
        state: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<String> {
        let binding = secret::random();
        sqlx::query!(
            "insert into social_logins
                 (hash, binding_hash, provider, transport, user_id, invite_code_hash, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            &secret::hash(state),
            &secret::hash(&binding),
            self.provider,
            self.transport as _,
            self.user as _,
            self.invite_code,
            now,
            now + lifetimes::SIGN_IN_STEP,
        )
        .execute(db)
        .await?;
        Ok(binding)
    }

    /// Ends it, if it was begun in this browser. Whatever comes of it, it does not work twice.
    pub(super) async fn end(
        db: impl PgExecutor<'_>,
        state: &str,
        binding: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"delete from social_logins
               where hash = $1 and binding_hash = $2 and expires_at > $3
               returning provider, transport as "transport: _", user_id as "user: _",
                         invite_code_hash as invite_code"#,
            &secret::hash(state),
            &secret::hash(binding),
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// Ends what `user` has begun to link.
    pub(crate) async fn void_all(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<()> {
        sqlx::query!("delete from social_logins where user_id = $1", user as _).execute(db).await?;
        Ok(())
    }

    /// Removes those that nobody came back from.
    pub(crate) async fn purge(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!("delete from social_logins where expires_at < $1", now).execute(db).await?;
        Ok(())
    }
}
