use chrono::TimeDelta;
use kernel::Id;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::{Device, Session, refresh_token::RefreshToken};
use crate::{Auth, Error, Result, lifetimes, orgs::org::Membership};

/// What a program needs to act for somebody. A browser that asked for cookies gets the tokens in
/// them, where scripts cannot read them, and the rest here.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// Sent as `Authorization: Bearer …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// How it is sent: `Bearer` or `Cookie`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until it expires.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// Exchanged, once, for the next pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The session that both belong to.
    #[schema(value_type = String, format = Uuid)]
    pub session_id: Id<Session>,
    /// How long the session lasts unless it is used again.
    #[serde(skip)]
    pub(crate) session_life: TimeDelta,
}

impl Auth {
    /// Starts a session of somebody who has proved who they are, with every factor that they have.
    pub async fn start_session(
        &self,
        db: &mut PgConnection,
        user: Id<kernel::User>,
        device: &Device,
    ) -> Result<Tokens> {
        let now = self.clock.now();
        let membership = Membership::first_of(&mut *db, user).await?.ok_or(Error::NoOrg)?;
        let config = &self.config.sessions;
        self.tell_of_new_device(&mut *db, user, device).await?;
        let session = Session::start(db, user, membership.org, device, config, now).await?;
        let refresh_token = RefreshToken::issue(db, session.id, now).await?;
        self.tokens(&session, &membership, refresh_token)
    }

    pub(super) fn tokens(
        &self,
        session: &Session,
        membership: &Membership,
        refresh_token: RefreshToken,
    ) -> Result<Tokens> {
        let now = self.clock.now();
        let access_token = self.access_tokens.sign(session, membership.role, now)?;
        Ok(Tokens {
            access_token: Some(access_token),
            token_type: "Bearer",
            expires_in: lifetimes::ACCESS_TOKEN.num_seconds(),
            refresh_token: Some(refresh_token.into_text()),
            session_id: session.id,
            session_life: session.expires_at - now,
        })
    }
}
