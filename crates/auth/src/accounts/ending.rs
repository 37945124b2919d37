use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, Org, User};
use sqlx::PgConnection;

use super::email_token::EmailToken;
use crate::{
    Auth, Session, mfa::challenge::Challenge, passkeys::ceremony, sessions::magic_link::MagicLink,
    social::pending::SocialLogin, webhook_events::ApiKeyRevoked,
};

/// What was open of an account, and no longer is.
#[derive(Debug, Default)]
#[must_use = "other requests learn of it by `Auth::forget`, after the commit"]
pub struct Ended {
    sessions: Vec<Id<Session>>,
    keys: Vec<Id<ApiKey>>,
}

/// How much of it ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending {
    /// The session in which it is asked for.
    pub(crate) but_session: Option<Id<Session>>,
    /// API keys have secrets of their own, so they end only if their maker wants that.
    pub(crate) api_keys: bool,
}

impl Ended {
    /// Ends every session of `user`, and every link, code and half-finished sign-in or link to an account elsewhere.
    pub(crate) async fn all_of(
        db: &mut PgConnection,
        user: Id<User>,
        ending: Ending,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        EmailToken::void_all(db, user).await?;
        MagicLink::void_all(db, user).await?;
        Challenge::void_all(db, user).await?;
        SocialLogin::void_all(&mut *db, user).await?;
        ceremony::void_all(&mut *db, user).await?;
        let sessions = Session::revoke_all(db, user, ending.but_session, now).await?;
        let keys = if ending.api_keys { revoke_keys(db, user, now).await? } else { vec![] };
        Ok(Self { sessions, keys })
    }
}

impl Auth {
    /// Makes the end of things known at once, on this instance; the database tells the others.
    pub fn forget(&self, ended: Ended) {
        for session in ended.sessions {
            self.db.changes().note(session);
        }
        for key in ended.keys {
            self.db.changes().note(key);
        }
    }
}

/// In every org: it is the person who may have lost them.
async fn revoke_keys(
    db: &mut PgConnection,
    user: Id<User>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Id<ApiKey>>> {
    let revoked = sqlx::query!(
        r#"update api_keys set revoked_at = $2
           where user_id = $1 and revoked_at is null
           returning id as "id: Id<ApiKey>", org_id as "org: Id<Org>""#,
        user as _,
        now,
    );
    let mut keys = vec![];
    for key in revoked.fetch_all(&mut *db).await? {
        webhooks::emit(&mut *db, key.org, &ApiKeyRevoked { api_key_id: key.id }, now).await?;
        keys.push(key.id);
    }
    Ok(keys)
}
