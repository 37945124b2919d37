use email::PasswordReset;
use jobs::{Enqueue, Job};
use kernel::{EmailAddress, Id};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use web::ClientIp;

use super::{
    email_token::{EmailToken, Purpose},
    ending::{Ended, Ending},
    user::User,
};
use crate::{Auth, Error, Result, abuse::limits::MailRequest, lifetimes};

/// Sends a link for a new password to an address, if it belongs to an account.
///
/// A job, so that the answer to the request cannot tell whether there is such an account.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendPasswordReset {
    email: EmailAddress,
}

impl Job for SendPasswordReset {
    const NAME: &'static str = "auth.send_password_reset";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let found = User::by_email(auth.db.pool(), &self.email).await?;
        let Some(found) = found.filter(|user| user.disabled_at.is_none()) else { return Ok(()) };
        if !auth.may_mail(&self.email, MailRequest::PasswordReset).await? {
            return Ok(());
        }
        let mut tx = auth.db.begin().await?;
        if let Some(user) = User::lock(&mut tx, found.id).await? {
            auth.mail_password_reset(&mut tx, user.id, &user.email, &user.name).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Auth {
    /// Asks for a link.
    pub async fn request_password_reset(&self, email: EmailAddress, ip: ClientIp) -> Result<()> {
        self.limit_mail_request(ip, &email, MailRequest::PasswordReset).await?;
        let mut db = self.db.pool().acquire().await?;
        Ok(Enqueue::new(&SendPasswordReset { email }).urgent().send(&mut db).await?)
    }

    /// The caller holds the lock of `user`.
    pub(crate) async fn mail_password_reset(
        &self,
        db: &mut PgConnection,
        user: Id<kernel::User>,
        email: &EmailAddress,
        name: &str,
    ) -> sqlx::Result<()> {
        let (purpose, now) = (Purpose::ResetPassword, self.clock.now());
        let token = EmailToken::issue(db, user, email, purpose, now).await?;
        let link = self.link("password-resets", &token);
        let minutes = lifetimes::LINK_THAT_LETS_IN.num_minutes();
        let mail = PasswordReset { name, link: &link, minutes };
        self.mailer.queue(db, email, Some(user), &mail).await?;
        Ok(())
    }

    /// Sets a new password for whoever the link with `token` was sent to, and ends all that the old
    /// one opened: every session and every other link, and their API keys if they say so. A second
    /// factor stays, and is asked for at the next sign-in.
    pub async fn reset_password(
        &self,
        token: &str,
        password: &SecretString,
        revoke_api_keys: bool,
        ip: ClientIp,
    ) -> Result<()> {
        self.limit_links(ip).await?;
        let (purpose, now) = (Purpose::ResetPassword, self.clock.now());
        let sent = EmailToken::find(self.db.pool(), token, purpose, now).await?;
        let sent = sent.ok_or(Error::InvalidLink)?;
        let user = User::get(self.db.pool(), sent.user).await?.ok_or(Error::InvalidLink)?;
        // A refused password does not cost the link.
        self.check_password(password, &user.email, &user.name)?;
        let hash = self.passwords.hash(password).await?;
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, user.id).await?;
        let user = user.filter(|user| user.email == sent.email).ok_or(Error::InvalidLink)?;
        EmailToken::consume(&mut tx, token, purpose, now).await?.ok_or(Error::InvalidLink)?;
        User::set_password(&mut tx, user.id, &hash).await?;
        // They have read a mail to that address.
        User::verify_email(&mut tx, user.id, now).await?;
        let ending = Ending { but_session: None, api_keys: revoke_api_keys };
        let ended = Ended::all_of(&mut tx, user.id, ending, now).await?;
        self.note(&mut tx, user.id, ip, "password.reset").await?;
        tx.commit().await?;
        self.forget(ended);
        tracing::info!(user = %user.id, %ip, "chose a new password");
        Ok(())
    }
}
