use email::{ActionMail, AlreadyRegistered, EmailChanged};
use kernel::EmailAddress;
use sqlx::PgConnection;
use web::{Caller, ClientIp};

use super::{
    email_token::{EmailToken, Purpose},
    ending::{Ended, Ending},
    user::User,
};
use crate::{
    Auth, Error, Result,
    abuse::limits::MailRequest,
    mfa::{factor::SecondFactor, recovery_code},
    passkeys::passkey::Passkey,
    social::identity::Identity,
};

impl Auth {
    /// Asks to exchange the caller's address. Nothing changes until the new one is confirmed; the
    /// old one is told, with a link that undoes it before and after. If the new address has an
    /// account, its owner is told, and the caller hears nothing of it.
    pub(crate) async fn request_email_change(
        &self,
        caller: &Caller,
        new: &EmailAddress,
        ip: ClientIp,
    ) -> Result<()> {
        self.limit_mail_request(ip, new, MailRequest::EmailChange).await?;
        let may_mail = self.may_mail(new, MailRequest::EmailChange).await?;
        self.mailer.check_domain(new).await?;
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        if user.email == *new || !may_mail {
            return Ok(());
        }
        if let Some(owner) = User::by_email(&mut *tx, new).await? {
            let mail = AlreadyRegistered { name: &owner.name };
            self.mailer.queue(&mut tx, new, Some(owner.id), &mail).await?;
        } else {
            self.mail_new_address(&mut tx, &user, new).await?;
        }
        self.mail_old_address(&mut tx, &user, new).await?;
        self.note(&mut tx, user.id, ip, "email_change.requested").await?;
        tx.commit().await?;
        Ok(())
    }

    async fn mail_new_address(
        &self,
        db: &mut PgConnection,
        user: &User,
        new: &EmailAddress,
    ) -> sqlx::Result<()> {
        let (purpose, now) = (Purpose::ChangeEmail, self.clock.now());
        let token = EmailToken::issue(db, user.id, new, purpose, now).await?;
        let mail = ActionMail {
            name: &user.name,
            subject: "Confirm your new e-mail address",
            text: "somebody, hopefully you, wants to use this address for their account:",
            button: "Use this address",
            link: &self.link("email-changes", &token),
            note: "The link works for ten minutes, once. If it was not you, ignore this mail.",
        };
        self.mailer.queue(db, new, Some(user.id), &mail).await?;
        Ok(())
    }

    async fn mail_old_address(
        &self,
        db: &mut PgConnection,
        user: &User,
        new: &EmailAddress,
    ) -> sqlx::Result<()> {
        let (purpose, now) = (Purpose::UndoEmailChange, self.clock.now());
        let token = EmailToken::issue(db, user.id, &user.email, purpose, now).await?;
        let link = self.link("email-change-reversals", &token);
        let mail = EmailChanged { name: &user.name, new, link: &link };
        self.mailer.queue(db, &user.email, Some(user.id), &mail).await?;
        Ok(())
    }

    /// Makes the address that the link with `token` was sent to the account's.
    pub(crate) async fn change_email(&self, token: &str, ip: ClientIp) -> Result<EmailAddress> {
        self.limit_links(ip).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let sent = EmailToken::consume(&mut tx, token, Purpose::ChangeEmail, now).await?;
        let sent = sent.ok_or(Error::InvalidLink)?;
        let user = User::lock(&mut tx, sent.user).await?;
        let user = user.filter(|user| user.disabled_at.is_none()).ok_or(Error::InvalidLink)?;
        // Links to the old address must not open the account any more.
        EmailToken::void_all(&mut tx, user.id).await?;
        if !User::set_email(&mut tx, user.id, &sent.email, now).await? {
            return Err(Error::InvalidLink);
        }
        self.note(&mut tx, user.id, ip, "email.changed").await?;
        tx.commit().await?;
        Ok(sent.email)
    }

    /// Gives the account back to the address that the link with `token` was sent to: whoever asked
    /// for the change is signed out everywhere, and no way in that they knew or made works any more.
    pub(crate) async fn undo_email_change(
        &self,
        token: &str,
        ip: ClientIp,
    ) -> Result<EmailAddress> {
        self.limit_links(ip).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let sent = EmailToken::consume(&mut tx, token, Purpose::UndoEmailChange, now).await?;
        let sent = sent.ok_or(Error::InvalidLink)?;
        let user = User::lock(&mut tx, sent.user).await?.ok_or(Error::InvalidLink)?;
        if !User::set_email(&mut tx, user.id, &sent.email, now).await? {
            return Err(Error::InvalidLink);
        }
        User::forget_password(&mut tx, user.id).await?;
        Identity::unlink_all(&mut *tx, user.id).await?;
        Passkey::remove_all(&mut *tx, user.id).await?;
        SecondFactor::remove_newer(&mut tx, user.id, sent.created_at).await?;
        if !SecondFactor::is_on(&mut *tx, user.id).await? {
            recovery_code::void_all(&mut tx, user.id).await?;
        }
        let everything = Ending { but_session: None, api_keys: true };
        let ended = Ended::all_of(&mut tx, user.id, everything, now).await?;
        self.mail_password_reset(&mut tx, user.id, &sent.email, &user.name).await?;
        self.note(&mut tx, user.id, ip, "email_change.undone").await?;
        tx.commit().await?;
        self.forget(ended);
        tracing::warn!(user = %user.id, %ip, "a change of address was undone");
        Ok(sent.email)
    }
}
