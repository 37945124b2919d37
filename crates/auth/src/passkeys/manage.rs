use kernel::Id;
use web::{Caller, ClientIp};

use super::passkey::Passkey;
use crate::{Auth, Error, Name, Result, Session, accounts::user::User, social::identity::Identity};

impl Auth {
    pub(super) async fn rename_passkey(
        &self,
        caller: &Caller,
        id: Id<Passkey>,
        name: &Name,
    ) -> Result<Passkey> {
        let mut tx = self.db.begin().await?;
        let renamed = Passkey::rename(&mut tx, caller.user, id, name).await?;
        let renamed = renamed.ok_or(Error::PasskeyNotFound)?;
        tx.commit().await?;
        Ok(renamed)
    }

    /// Removes a passkey, unless it is the caller's only way in. Every other session ends: it may have
    /// been lost together with a device that is signed in.
    pub(super) async fn remove_passkey(
        &self,
        caller: &Caller,
        session: Option<Id<Session>>,
        id: Id<Passkey>,
        ip: ClientIp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        if !Passkey::remove(&mut tx, user.id, id).await? {
            return Err(Error::PasskeyNotFound);
        }
        let others = Passkey::list(&mut *tx, user.id).await?;
        let elsewhere = Identity::list(&mut *tx, user.id).await?;
        if user.password_hash.is_none() && others.is_empty() && elsewhere.is_empty() {
            return Err(Error::OnlyWayIn);
        }
        let ended = self.lost_factor(&mut tx, &user, session, "A passkey was removed").await?;
        self.note(&mut tx, user.id, ip, "passkey.removed").await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(())
    }
}
