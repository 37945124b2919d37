use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use sqlx::PgExecutor;

use crate::{
    Keys, Session, lifetimes,
    secrets::{keys::Key, secret},
    sessions::transport::Transport,
};

/// Enough to tell two keys from each other.
const MARK: usize = 8;

/// Somebody has gone to a provider and is to come back, in the same browser.
pub(crate) struct SocialLogin {
    pub(super) provider: String,
    pub(super) transport: Transport,
    /// Who wants to sign in with it in future; `None`: somebody signs in now.
    pub(super) user: Option<Id<User>>,
    /// In which session they want to.
    pub(super) session: Option<Id<Session>>,
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
    /// Those of a sign-in that begins.
    pub(super) fn new(key: &Key) -> Self {
        let random = secret::random();
        Self::of(key, &format!("{random}.{}", mark(key, &random)))
    }

    /// Those of the sign-in that comes back with `state`. It may have begun under the secret before.
    pub(super) fn again(keys: &Keys, state: &str) -> Self {
        let marked = |key: &&Key| {
            state.split_once('.').is_some_and(|(random, found)| found == mark(key, random))
        };
        Self::of(keys.all().iter().find(marked).unwrap_or(keys.current()), state)
    }

    fn of(key: &Key, state: &str) -> Self {
        let [nonce, verifier] = ["nonce", "verifier"].map(|purpose| derive(key, purpose, state));
        Self { nonce, verifier, state: state.to_owned() }
    }
}

/// What tells by which key a state was made.
fn mark(key: &Key, random: &str) -> String {
    derive(key, "state", random).chars().take(MARK).collect()
}

fn derive(key: &Key, purpose: &str, from: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(sealing::derive(&key.social, &format!("{purpose} {from}")))
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
                 (hash, binding_hash, provider, transport, user_id, session_id, invite_code_hash,
                  created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &secret::hash(state),
            &secret::hash(&binding),
            self.provider,
            self.transport as _,
            self.user as _,
            self.session as _,
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
                         session_id as "session: _", invite_code_hash as invite_code"#,
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

#[cfg(test)]
mod tests {
    use super::Secrets;
    use crate::{Config, Keys};

    fn keys(secret: &str, previous: Option<&str>) -> Keys {
        let config = Config {
            auth_secret: Some(secret.into()),
            auth_secret_previous: previous.map(Into::into),
            ..Config::default()
        };
        Keys::new(&config).unwrap()
    }

    #[test]
    fn whoever_left_under_the_secret_before_comes_back_under_the_next() {
        let begun = Secrets::new(keys("one", None).current());
        let back = Secrets::again(&keys("two", Some("one")), &begun.state);
        assert_eq!((&back.nonce, &back.verifier), (&begun.nonce, &begun.verifier));

        let stranger = Secrets::again(&keys("two", None), &begun.state);
        assert!(stranger.nonce != begun.nonce && stranger.verifier != begun.verifier);
        assert_ne!(begun.nonce, begun.verifier);
    }
}
