use db::Tx;
use kernel::Id;
use serde_json::Value;
use sqlx::types::Json;
use web::{Caller, ClientIp};
use webauthn_rs::prelude::{DiscoverableAuthentication, PublicKeyCredential, WebauthnError};

use super::{
    ceremony::{Ceremony, Purpose},
    passkey::Passkey,
};
use crate::{Auth, Error, Result, accounts::user::User};

/// What a browser asks a passkey with, and the secret that the answer comes with.
pub(super) struct Begun {
    pub(super) ceremony: String,
    pub(super) options: Value,
}

impl Auth {
    /// Asks for a passkey of `user`, or for any of ours.
    ///
    /// The library's way for keys that tell whose they are is taken for both: it compares the answer
    /// with the key as it is kept then, not as it was when the ceremony began.
    pub(super) async fn ask_for_passkey(
        &self,
        purpose: Purpose,
        user: Option<Id<kernel::User>>,
    ) -> Result<Begun> {
        let (request, state): (_, DiscoverableAuthentication) = self
            .relying_party
            .webauthn()?
            .start_discoverable_authentication()
            .map_err(anyhow::Error::from)?;
        let mut options = serde_json::to_value(request.public_key).map_err(anyhow::Error::from)?;
        if let Some(user) = user {
            let known = Passkey::list(self.db.pool(), user).await?;
            let known = known.iter().filter(|it| it.copied_at.is_none());
            let known: Vec<_> = known.map(Passkey::descriptor).collect();
            if known.is_empty() {
                return Err(Error::PasskeyNotFound);
            }
            options["allowCredentials"] = known.into();
        }
        let ceremony = Ceremony { user, state: Json(state) };
        let ceremony = ceremony.begin(self.db.pool(), purpose, self.clock.now()).await?;
        Ok(Begun { ceremony, options })
    }

    /// Proves that the caller is still who they are.
    pub(crate) async fn prove_by_passkey(
        &self,
        caller: &Caller,
        ceremony: &str,
        credential: &PublicKeyCredential,
        ip: ClientIp,
    ) -> Result<Tx> {
        let now = self.clock.now();
        let asked = Ceremony::end(self.db.pool(), ceremony, Purpose::Proof, now).await?;
        let asked = asked.filter(|asked| asked.user == Some(caller.user));
        let state = asked.ok_or(Error::InvalidPasskeyCeremony)?.state;
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        self.use_passkey(tx, &user, state.0, credential, ip).await
    }

    /// Checks what a passkey of `user` has made of a challenge, and gives the transaction back in which
    /// its use is noted. The key has checked a PIN, a finger or a face itself: it is two factors.
    pub(super) async fn use_passkey(
        &self,
        mut tx: Tx,
        user: &User,
        state: DiscoverableAuthentication,
        credential: &PublicKeyCredential,
        ip: ClientIp,
    ) -> Result<Tx> {
        let now = self.clock.now();
        let whose = credential.get_user_unique_id();
        if whose.is_some_and(|whose| whose != user.id.uuid().as_bytes()) {
            return Err(Error::PasskeyRefused);
        }
        let id = credential.get_credential_id();
        let passkey = Passkey::lock(&mut tx, user.id, id).await?;
        let passkey = passkey.filter(|it| it.copied_at.is_none()).ok_or(Error::PasskeyRefused)?;
        let checked = self.relying_party.webauthn()?.finish_discoverable_authentication_v2(
            credential,
            state,
            &*passkey.credential,
        );
        match checked {
            Ok(result) => {
                passkey.used(&mut tx, &result, now).await?;
                Ok(tx)
            }
            Err(WebauthnError::CredentialPossibleCompromise) => {
                passkey.distrust(&mut tx, now).await?;
                self.note(&mut tx, user.id, ip, "passkey.copied").await?;
                let subject = "One of your passkeys seems to have been copied";
                let text = "It was refused, and opens nothing any more: it said that it had been \
                            used less often than we have seen. Remove it, and add another one. If \
                            you still have the only copy, its maker can say why.";
                self.tell(&mut tx, user, subject, text).await?;
                tx.commit().await?;
                Err(Error::PasskeyRefused)
            }
            Err(error) => {
                tracing::info!(user = %user.id, %ip, %error, "a passkey was refused");
                Err(Error::PasskeyRefused)
            }
        }
    }
}
