use email::SecurityNotice;
use kernel::Id;
use secrecy::SecretString;
use web::{Caller, ClientIp};

use super::{
    ending::{Ended, Ending},
    user::User,
};
use crate::{Auth, Error, Result, Session, passwords::hashing::Verdict};

/// A new password, from somebody who is signed in.
pub(crate) struct PasswordChange {
    /// Absent for those who have none yet.
    pub(crate) current: Option<SecretString>,
    pub(crate) new: SecretString,
    pub(crate) revoke_api_keys: bool,
}

impl Auth {
    /// Exchanges the caller's password, and ends every other session of theirs. Whoever has no
    /// password yet chooses their first; the route asks for a recent sign-in anyway.
    pub(crate) async fn change_password(
        &self,
        caller: &Caller,
        session: Option<Id<Session>>,
        change: PasswordChange,
        ip: ClientIp,
    ) -> Result<()> {
        let user =
            User::get(self.db.pool(), caller.user).await?.ok_or(Error::InvalidCredentials)?;
        if let Some(known) = &user.password_hash {
            self.limit_password(user.id).await?;
            let current = change.current.unwrap_or_default();
            if self.passwords.verify(&current, Some(known)).await? == Verdict::Wrong {
                return Err(Error::WrongPassword);
            }
        }
        self.check_password(&change.new, &user.email, &user.name)?;
        let hash = self.passwords.hash(&change.new).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let current = User::lock(&mut tx, user.id).await?;
        if current.is_none_or(|current| current.password_hash != user.password_hash) {
            return Err(Error::WrongPassword);
        }
        User::set_password(&mut tx, user.id, &hash).await?;
        let ending = Ending { but_session: session, api_keys: change.revoke_api_keys };
        let ended = Ended::all_of(&mut tx, user.id, ending, now).await?;
        self.note(&mut tx, user.id, ip, "password.changed").await?;
        let paragraphs =
            ["The password of your account was changed, and other devices were signed \
                           out. If it was not you, choose a new one with the link \u{201c}forgot \
                           password\u{201d} at once."
                .to_owned()];
        let (name, subject) = (user.name.as_str(), "Your password was changed");
        let notice = SecurityNotice { name, subject, paragraphs: &paragraphs };
        self.mailer.queue(&mut tx, &user.email, Some(user.id), &notice).await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(())
    }
}
