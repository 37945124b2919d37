use email::Welcome;
use jobs::{Enqueue, Job};
use kernel::EmailAddress;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use web::ClientIp;

use super::pending::Pending;
use crate::{
    Auth, Error, Result, abuse::limits::MailRequest, passwords::hashing::Verdict,
    sign_up::InviteCode,
};

/// Sends another link to an address that was registered and is not confirmed.
///
/// A job, so that the answer to the request cannot tell whether there is such an address.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendVerification {
    pub(crate) email: EmailAddress,
}

impl Job for SendVerification {
    const NAME: &'static str = "auth.send_verification";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        if !auth.may_mail(&self.email, MailRequest::Verification).await? {
            return Ok(());
        }
        let mut tx = auth.db.begin().await?;
        if let Some(token) = Pending::renew(&mut tx, &self.email, auth.clock.now()).await? {
            auth.mail_registration(&mut tx, &self.email, &token).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Auth {
    /// Asks for another link.
    pub async fn request_verification(&self, email: EmailAddress, ip: ClientIp) -> Result<()> {
        self.limit_mail_request(ip, &email, MailRequest::Verification).await?;
        let mut db = self.db.pool().acquire().await?;
        Ok(Enqueue::new(&SendVerification { email }).urgent().send(&mut db).await?)
    }

    /// Makes an account of what was registered, for whoever has both the link and the password:
    /// the link shows that the address is theirs, the password that the registration is.
    pub async fn verify_email(
        &self,
        token: &str,
        password: &SecretString,
        ip: ClientIp,
    ) -> Result<EmailAddress> {
        self.limit_links(ip).await?;
        let now = self.clock.now();
        let pending = Pending::attempt(self.db.pool(), token, now).await?;
        let pending = pending.ok_or(Error::InvalidLink)?;
        let verdict = self.passwords.verify(password, Some(&pending.password_hash)).await?;
        if verdict == Verdict::Wrong {
            return Err(Error::NotTheirRegistration);
        }
        let mut tx = self.db.begin().await?;
        if !Pending::consume(&mut tx, token).await? {
            return Err(Error::InvalidLink);
        }
        let (email, hash) = (&pending.email, Some(pending.password_hash.as_str()));
        let made = self.create_account(&mut tx, email, &pending.name, hash, now).await?;
        // Somebody else was faster, with a registration of the same address.
        let made = made.ok_or(Error::InvalidLink)?;
        if let Some(code) = pending.invite_code {
            InviteCode::redeem(&mut tx, code, made.org, now).await?;
        }
        let mail = Welcome { name: &pending.name };
        self.mailer.queue(&mut tx, email, Some(made.user), &mail).await?;
        self.note(&mut tx, made.user, ip, "user.registered").await?;
        tx.commit().await?;
        tracing::info!(user = %made.user, %ip, "registered");
        Ok(pending.email)
    }
}
