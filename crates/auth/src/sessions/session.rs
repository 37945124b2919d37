use axum::{extract::FromRequestParts, http::header, http::request::Parts};
use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use sqlx::{PgConnection, PgExecutor};
use web::{ClientIp, Problem};

use super::Config;

/// A person signed in on one device, acting in one org.
#[derive(Clone, Debug)]
pub struct Session {
    /// Identifies it.
    pub id: Id<Session>,
    /// Who signed in.
    pub user: Id<User>,
    /// The org they act in.
    pub org: Id<Org>,
    /// Its latest end, whatever happens, is counted from here.
    pub created_at: DateTime<Utc>,
    /// When it ends unless it is used before.
    pub expires_at: DateTime<Utc>,
    /// When it was ended early.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Where somebody signs in from, to be recognised in a list of sessions.
#[derive(Clone, Debug)]
pub struct Device {
    /// The network address.
    pub ip: ClientIp,
    /// What the browser or program calls itself.
    pub user_agent: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> web::Result<Self> {
        let ip = ClientIp::from_request_parts(parts, state).await?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok());
        Ok(Self { ip, user_agent: user_agent.map(|it| it.chars().take(256).collect()) })
    }
}

impl Session {
    pub(crate) async fn start(
        db: &mut PgConnection,
        user: Id<User>,
        org: Id<Org>,
        device: &Device,
        config: &Config,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        let expires_at = now + config.idle();
        let session =
            Self { id: Id::new(), user, org, created_at: now, expires_at, revoked_at: None };
        sqlx::query!(
            "insert into sessions
                 (id, user_id, org_id, ip, user_agent, created_at, last_seen_at, authenticated_at,
                  expires_at)
             values ($1, $2, $3, $4, $5, $6, $6, $6, $7)",
            session.id as _,
            user as _,
            org as _,
            device.ip.to_string(),
            device.user_agent,
            now,
            expires_at,
        )
        .execute(db)
        .await?;
        Ok(session)
    }

    /// Whether nobody has ended it.
    pub(crate) async fn is_open(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"select exists (select from sessions where id = $1 and revoked_at is null) as "open!""#,
            id as _,
        )
        .fetch_one(db)
        .await
    }

    /// The session that a refresh token belongs to, used up or not.
    pub(crate) async fn of_refresh_token(
        db: impl PgExecutor<'_>,
        hash: &[u8],
    ) -> sqlx::Result<Option<Id<Self>>> {
        sqlx::query_scalar!(
            r#"select session_id as "id: _" from refresh_tokens where hash = $1"#,
            hash,
        )
        .fetch_optional(db)
        .await
    }

    /// The session that a refresh token belongs to, locked: its tokens are replaced one at a time.
    pub(crate) async fn lock_by_refresh_token(
        db: &mut PgConnection,
        hash: &[u8],
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", user_id as "user: _", org_id as "org: _",
                      created_at, expires_at, revoked_at
               from sessions
               where id = (select session_id from refresh_tokens where hash = $1)
               for update"#,
            hash,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_some() || self.expires_at <= now
    }

    /// Counts as used from `device`: the idle time starts anew, within the life of the session.
    pub(crate) async fn touch(
        &mut self,
        db: &mut PgConnection,
        device: &Device,
        config: &Config,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        self.expires_at = (now + config.idle()).min(self.created_at + config.longest());
        sqlx::query!(
            "update sessions set last_seen_at = $2, expires_at = $3, ip = $4 where id = $1",
            self.id as _,
            now,
            self.expires_at,
            device.ip.to_string(),
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes that its person has proved who they are again.
    pub(crate) async fn prove(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!("update sessions set authenticated_at = $2 where id = $1", id as _, now)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Lets the sessions of `user` that act in one org act in another.
    pub(crate) async fn move_all(
        db: &mut PgConnection,
        user: Id<User>,
        from: Id<Org>,
        to: Id<Org>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update sessions set org_id = $3
             where org_id = $2 and user_id = $1 and revoked_at is null",
            user as _,
            from as _,
            to as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Ends a session together with its refresh tokens, which are nothing without it.
    pub(crate) async fn revoke(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update sessions set revoked_at = $2 where id = $1 and revoked_at is null",
            id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Ends a session if it is one of `user`'s.
    pub(crate) async fn revoke_of(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let revoked = sqlx::query!(
            "update sessions set revoked_at = $3
             where id = $1 and user_id = $2 and revoked_at is null and expires_at > $3",
            id as _,
            user as _,
            now,
        );
        Ok(revoked.execute(db).await?.rows_affected() == 1)
    }

    /// Ends every session of `user` but one, if there is one to keep; returns which.
    pub(crate) async fn revoke_all(
        db: &mut PgConnection,
        user: Id<User>,
        but: Option<Id<Self>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Id<Self>>> {
        sqlx::query_scalar!(
            r#"update sessions set revoked_at = $2
               where user_id = $1 and revoked_at is null and id is distinct from $3
               returning id as "id: _""#,
            user as _,
            now,
            but as _,
        )
        .fetch_all(db)
        .await
    }
}
