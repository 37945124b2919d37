use email::Welcome;
use jobs::{Enqueue, Job};
use kernel::EmailAddress;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use web::ClientIp;

use super::pending::Pending;
use crate::{
    Auth, Error, Name, Result, abuse::limits::MailRequest, passwords::hashing::Verdict,
    sign_up::InviteCode,
};

/// What somebody confirms a registration with, beside its link.
pub(crate) enum Proof<'a> {
    /// The password that it was made with.
    Registered(&'a SecretString),
    /// A password and perhaps a name of their own, in place of what was registered.
    Chosen(&'a SecretString, Option<Name>),
}

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

    /// Makes an account of what was registered, for whoever has the link, which shows that the address
    /// is theirs. What else was registered is theirs only if they know its password, or replace it: so
    /// nobody confirms what a stranger chose for them, and no stranger is in their way either.
    pub(crate) async fn verify_email(
        &self,
        token: &str,
        proof: Proof<'_>,
        ip: ClientIp,
    ) -> Result<EmailAddress> {
        self.limit_links(ip).await?;
        let now = self.clock.now();
        let pending = match proof {
            Proof::Registered(password) => self.registered(token, password).await?,
            Proof::Chosen(password, name) => self.chosen(token, password, name).await?,
        };
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

    async fn registered(&self, token: &str, password: &SecretString) -> Result<Pending> {
        let pending = Pending::attempt(self.db.pool(), token, self.clock.now()).await?;
        let pending = pending.ok_or(Error::InvalidLink)?;
        match self.passwords.verify(password, Some(&pending.password_hash)).await? {
            Verdict::Wrong => Err(Error::NotTheirRegistration),
            Verdict::Right | Verdict::Outdated => Ok(pending),
        }
    }

    async fn chosen(
        &self,
        token: &str,
        password: &SecretString,
        name: Option<Name>,
    ) -> Result<Pending> {
        let pending = Pending::find(self.db.pool(), token, self.clock.now()).await?;
        let mut pending = pending.ok_or(Error::InvalidLink)?;
        let name = name.as_ref().map_or(pending.email.local_part(), Name::as_str);
        self.check_password(password, &pending.email, name)?;
        pending.name = name.to_owned();
        pending.password_hash = self.passwords.hash(password).await?;
        Ok(pending)
    }
}
