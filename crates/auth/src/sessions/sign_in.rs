use jobs::enqueue;
use kernel::{EmailAddress, Id};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::{
    Auth, Device, Error, Result, Session,
    abuse::limits::blind,
    accounts::user::User,
    accounts::verification::SendVerification,
    lifetimes,
    orgs::org::Membership,
    passwords::hashing::Verdict,
    sessions::refresh_token::{RefreshToken, Rotation},
};

/// What a program needs to act for somebody.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// Sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// How it is sent.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until it expires.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// Exchanged, once, for the next pair.
    pub refresh_token: String,
    /// The session that both belong to.
    #[schema(value_type = String, format = Uuid)]
    pub session_id: Id<Session>,
}

impl Auth {
    /// Checks a password and starts a session.
    pub async fn sign_in(
        &self,
        email: &EmailAddress,
        password: &SecretString,
        device: &Device,
    ) -> Result<Tokens> {
        self.limit_network(device.ip).await?;
        let user = User::by_email(self.db.pool(), email).await?;
        self.limit_account(device.ip, email, user.as_ref()).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let verdict = self.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| verdict != Verdict::Wrong) else {
            tracing::info!(ip = %device.ip, account = blind(email.as_str()), "a sign-in was refused");
            return Err(Error::InvalidCredentials);
        };
        if user.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        if user.email_verified_at.is_none() {
            // Said aloud, it would tell who has an account: register an address and try to sign in.
            let mut db = self.db.pool().acquire().await?;
            enqueue(&mut db, &SendVerification { email: email.clone() }).await?;
            return Err(Error::InvalidCredentials);
        }
        let rehashed = match verdict {
            Verdict::Outdated => Some(self.passwords.hash(password).await?),
            _ => None,
        };
        let mut tx = self.db.begin().await?;
        let current = User::lock(&mut tx, user.id).await?;
        // Whoever chose a new password meanwhile has ended all sessions; this one would outlive it.
        if current.is_none_or(|current| current.password_hash != user.password_hash) {
            return Err(Error::InvalidCredentials);
        }
        if let Some(hash) = rehashed {
            User::set_password(&mut tx, user.id, &hash).await?;
        }
        let tokens = self.start_session(&mut tx, user.id, device).await?;
        tx.commit().await?;
        tracing::info!(user = %user.id, session = %tokens.session_id, ip = %device.ip, "signed in");
        Ok(tokens)
    }

    /// Starts a session of somebody who has proved who they are.
    pub async fn start_session(
        &self,
        db: &mut PgConnection,
        user: Id<kernel::User>,
        device: &Device,
    ) -> Result<Tokens> {
        let now = self.clock.now();
        let membership = Membership::first_of(&mut *db, user).await?.ok_or(Error::NoOrg)?;
        let session = Session::start(db, user, membership.org, device, now).await?;
        let refresh_token = RefreshToken::issue(db, session.id, now).await?;
        self.tokens(&session, &membership, refresh_token)
    }

    /// Exchanges a refresh token for the next pair.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens> {
        let now = self.clock.now();
        let token = RefreshToken::presented(refresh_token);
        let mut tx = self.db.begin().await?;
        let session = Session::lock_by_refresh_token(&mut tx, &token.hash()).await?;
        let session = session.filter(|session| !session.is_over(now));
        let mut session = session.ok_or(Error::InvalidRefreshToken)?;
        match token.rotate(&mut tx, self.access_tokens.keys(), session.id, now).await? {
            Rotation::Successor(successor) => {
                let membership = Membership::active(&mut *tx, session.user, session.org).await?;
                let membership = membership.ok_or(Error::InvalidRefreshToken)?;
                session.touch(&mut tx, now).await?;
                tx.commit().await?;
                self.tokens(&session, &membership, successor)
            }
            Rotation::Reused => {
                Session::revoke(&mut *tx, session.id, now).await?;
                tx.commit().await?;
                self.forget([session.id]);
                let (user, session) = (session.user, session.id);
                tracing::warn!(%user, %session, "a refresh token was used twice; session ended");
                Err(Error::RefreshTokenReused)
            }
        }
    }

    /// Ends a session: its tokens are worth nothing from now on.
    pub async fn sign_out(&self, session: Id<Session>) -> Result<()> {
        Session::revoke(self.db.pool(), session, self.clock.now()).await?;
        self.forget([session]);
        Ok(())
    }

    fn tokens(
        &self,
        session: &Session,
        membership: &Membership,
        refresh_token: RefreshToken,
    ) -> Result<Tokens> {
        let access_token = self.access_tokens.sign(session, membership.role, self.clock.now())?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer",
            expires_in: lifetimes::ACCESS_TOKEN.num_seconds(),
            refresh_token: refresh_token.into_text(),
            session_id: session.id,
        })
    }
}
