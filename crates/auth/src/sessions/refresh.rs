use kernel::Id;

use super::{
    Device, Session, Tokens,
    refresh_token::{RefreshToken, Rotation},
    transport::mixed_credentials,
};
use crate::{Auth, Error, Result, orgs::org::Membership};

impl Auth {
    /// Exchanges a refresh token for the next pair. If the request shows another session too, there
    /// may be two people: then neither session is touched.
    pub async fn refresh(
        &self,
        refresh_token: &str,
        also_shown: Option<Id<Session>>,
        device: &Device,
    ) -> Result<Tokens> {
        let now = self.clock.now();
        let token = RefreshToken::presented(refresh_token);
        let mut tx = self.db.begin().await?;
        let session = Session::lock_by_refresh_token(&mut tx, &token.hash()).await?;
        if let (Some(session), Some(other)) = (&session, also_shown)
            && session.id != other
        {
            return Err(mixed_credentials().into());
        }
        let session = session.filter(|session| !session.is_over(now));
        let mut session = session.ok_or(Error::InvalidRefreshToken)?;
        match token.rotate(&mut tx, self.access_tokens.keys(), session.id, now).await? {
            Rotation::Successor(successor) => {
                let membership = Membership::active(&mut *tx, session.user, session.org).await?;
                let membership = membership.ok_or(Error::InvalidRefreshToken)?;
                session.touch(&mut tx, device, &self.config.sessions, now).await?;
                tx.commit().await?;
                self.tokens(&session, &membership, successor)
            }
            Rotation::Unknown => Err(Error::InvalidRefreshToken),
            Rotation::Reused => {
                Session::revoke(&mut *tx, session.id, now).await?;
                self.note(&mut tx, session.user, device.ip, "session.refresh_token_reused").await?;
                tx.commit().await?;
                self.db.changes().note(session.id);
                let (user, session) = (session.user, session.id);
                tracing::warn!(%user, %session, "a refresh token was used twice; session ended");
                Err(Error::RefreshTokenReused)
            }
        }
    }

    /// Ends a session: its tokens are worth nothing from now on.
    pub async fn sign_out(&self, session: Id<Session>) -> Result<()> {
        Session::revoke(self.db.pool(), session, self.clock.now()).await?;
        self.db.changes().note(session);
        Ok(())
    }
}
