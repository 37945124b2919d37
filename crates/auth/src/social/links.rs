use email::SecurityNotice;
use kernel::Id;
use web::{Caller, ClientIp};

use super::{claims::Claims, identity::Identity, provider::Provider};
use crate::{
    Auth, Device, Error, Result, Session,
    accounts::{user::User, way_in},
};

impl Auth {
    /// Lets `user` sign in with what they have just proved to be theirs.
    pub(super) async fn link_identity(
        &self,
        provider: &Provider,
        (user, session): (Id<kernel::User>, Id<Session>),
        claims: &Claims,
        device: &Device,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, user).await?.filter(|user| user.disabled_at.is_none());
        let user = user.ok_or(Error::InvalidSocialLogin)?;
        // Whoever took the account back meanwhile has ended this session; what is linked in it would
        // outlive that.
        if !Session::is_open(&mut *tx, session).await? {
            return Err(Error::InvalidSocialLogin);
        }
        let issuer = provider.issuer();
        if !Identity::link(&mut tx, user.id, &provider.name, issuer, claims, now).await? {
            return Err(Error::IdentityTaken);
        }
        self.note(&mut tx, user.id, device.ip, "identity.linked").await?;
        let what = format!(
            "an account at {} can now be used to sign in to your account. If that was not you, unlink it, \
             change your password and sign out every other device.",
            provider.name
        );
        let notice = SecurityNotice {
            name: &user.name,
            subject: "There is a new way to sign in to your account",
            paragraphs: &[what],
        };
        self.mailer.queue(&mut tx, &user.email, Some(user.id), &notice).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends that the caller can sign in with an account elsewhere, unless it is their only way in.
    pub(super) async fn unlink(
        &self,
        caller: &Caller,
        id: Id<Identity>,
        ip: ClientIp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        if !Identity::unlink(&mut tx, user.id, id).await? {
            return Err(Error::IdentityNotFound);
        }
        way_in::check(&mut tx, &user).await?;
        self.note(&mut tx, user.id, ip, "identity.unlinked").await?;
        tx.commit().await?;
        Ok(())
    }
}
