use kernel::Id;
use web::{Caller, ClientIp};

use super::passkey::Passkey;
use crate::{
    Auth, Error, Name, Result, Session,
    accounts::{user::User, way_in},
};

impl Auth {
    pub(super) async fn rename_passkey(
        &self,
        caller: &Caller,
        id: Id<Passkey>,
        name: &Name,
    ) -> Result<Passkey> {
        let renamed = Passkey::rename(self.db.pool(), caller.user, id, name).await?;
        renamed.ok_or(Error::PasskeyNotFound)
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
        way_in::check(&mut tx, &user).await?;
        let ended = self.lost_factor(&mut tx, &user, session, "A passkey was removed").await?;
        self.note(&mut tx, user.id, ip, "passkey.removed").await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(())
    }
}
