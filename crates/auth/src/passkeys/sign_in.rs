use chrono::{DateTime, Utc};
use kernel::Id;
use web::ClientIp;
use webauthn_rs::prelude::PublicKeyCredential;

use super::{
    ceremony::{Ceremony, Purpose},
    prove::Begun,
};
use crate::{Auth, Device, Error, Result, Tokens, accounts::user::User, mfa::challenge::Challenge};

impl Auth {
    /// Begins to sign somebody in with a passkey: whoever has proved the first factor for `challenge`,
    /// or anybody, of whom the passkey tells who they are.
    pub(super) async fn begin_passkey_sign_in(
        &self,
        challenge: Option<&str>,
        ip: ClientIp,
    ) -> Result<Begun> {
        self.limit_network(ip).await?;
        let user = match challenge {
            Some(challenge) => {
                let user = Challenge::holder(self.db.pool(), challenge, self.clock.now()).await?;
                Some(user.ok_or(Error::InvalidChallenge)?)
            }
            None => None,
        };
        self.ask_for_passkey(Purpose::SignIn, user).await
    }

    /// Signs in whoever holds a passkey. It is all that they need: the second factor is in it.
    pub(super) async fn sign_in_with_passkey(
        &self,
        ceremony: &str,
        credential: &PublicKeyCredential,
        device: &Device,
    ) -> Result<Tokens> {
        self.limit_network(device.ip).await?;
        let signed_in = self.finish_sign_in(ceremony, credential, device, self.clock.now()).await;
        if let Err(Error::PasskeyRefused) = signed_in {
            self.note_refused_sign_in(device.ip).await?;
        }
        signed_in
    }

    async fn finish_sign_in(
        &self,
        ceremony: &str,
        credential: &PublicKeyCredential,
        device: &Device,
        now: DateTime<Utc>,
    ) -> Result<Tokens> {
        let asked = Ceremony::end(self.db.pool(), ceremony, Purpose::SignIn, now).await?;
        let asked = asked.ok_or(Error::InvalidPasskeyCeremony)?;
        let user = asked.user.or_else(|| holder(credential)).ok_or(Error::PasskeyRefused)?;
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, user).await?.ok_or(Error::PasskeyRefused)?;
        let mut tx = self.use_passkey(tx, &user, asked.state.0, credential, device.ip).await?;
        if user.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        let tokens = self.start_session(&mut tx, user.id, device).await?;
        tx.commit().await?;
        let session = tokens.session_id;
        tracing::info!(user = %user.id, %session, ip = %device.ip, "signed in with a passkey");
        Ok(tokens)
    }
}

/// Whose the passkey says it is.
fn holder(credential: &PublicKeyCredential) -> Option<Id<kernel::User>> {
    uuid::Uuid::from_slice(credential.get_user_unique_id()?).ok().map(Id::from)
}
