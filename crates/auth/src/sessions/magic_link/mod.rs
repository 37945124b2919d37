//! Signing in with a code from a mail, in the browser or program that asked for it.

mod code;
mod link;
pub(crate) mod routes;

use email::ActionMail;
use jobs::{Enqueue, Job};
use kernel::EmailAddress;
use serde::{Deserialize, Serialize};
use web::ClientIp;

use super::{Device, Tokens};
use crate::{
    Auth, Error, Result, abuse::limits::MailRequest, accounts::user::User, secrets::secret,
};

pub(crate) use link::MagicLink;

/// Mails a code to an address, if it belongs to an account.
///
/// A job, so that the answer to the request cannot tell whether there is such an account.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendMagicLink {
    challenge_hash: [u8; 32],
    email: EmailAddress,
}

impl Job for SendMagicLink {
    const NAME: &'static str = "auth.send_magic_link";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let user = User::by_email(auth.db.pool(), &self.email).await?;
        let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(()) };
        if !auth.may_mail(&self.email, MailRequest::MagicLink).await? {
            return Ok(());
        }
        let code = code::generate();
        let sealed = code::hash(auth.access_tokens.keys().current(), &code);
        let mut tx = auth.db.begin().await?;
        if !MagicLink::set_code(&mut tx, &self.challenge_hash, &sealed).await? {
            return Ok(());
        }
        let text = format!(
            "somebody, hopefully you, wants to sign in. The code is {code}. Type it where you \
             asked, or open the link in the same browser:"
        );
        let mail = ActionMail {
            name: &user.name,
            subject: "Your sign-in code",
            text: &text,
            button: "Sign in",
            link: &auth.link("magic-links", &code),
            note: "It works for ten minutes, once, and only where you asked for it. Nobody of us \
                   will ever ask you for it.",
        };
        auth.mailer.queue(&mut tx, &user.email, Some(user.id), &mail).await?;
        Ok(tx.commit().await?)
    }
}

impl Auth {
    /// Asks for a code. Answers what it works together with, and nowhere without.
    pub(crate) async fn request_magic_link(
        &self,
        email: EmailAddress,
        ip: ClientIp,
    ) -> Result<String> {
        self.limit_mail_request(ip, &email, MailRequest::MagicLink).await?;
        let challenge = secret::random();
        let challenge_hash = secret::hash(&challenge);
        let mut tx = self.db.begin().await?;
        MagicLink::insert(&mut tx, &challenge_hash, &email, self.clock.now()).await?;
        Enqueue::new(&SendMagicLink { challenge_hash, email }).urgent().send(&mut tx).await?;
        tx.commit().await?;
        Ok(challenge)
    }

    /// Signs in whoever asked for a code and has read the mail.
    pub(crate) async fn sign_in_with_code(
        &self,
        challenge: &str,
        code: &str,
        device: &Device,
    ) -> Result<Tokens> {
        self.limit_network(device.ip).await?;
        let (hash, now) = (secret::hash(challenge), self.clock.now());
        let link = MagicLink::attempt(self.db.pool(), &hash, now).await?;
        let link = link.ok_or(Error::InvalidMailCode)?;
        let keys = self.access_tokens.keys().all();
        if !keys.iter().any(|key| link.code_hash.as_deref() == Some(&code::hash(key, code))) {
            tracing::info!(ip = %device.ip, "a code from a mail was refused");
            return Err(Error::InvalidMailCode);
        }
        let mut tx = self.db.begin().await?;
        if !MagicLink::consume(&mut tx, &hash).await? {
            return Err(Error::InvalidMailCode);
        }
        let user = User::by_email(&mut *tx, &link.email).await?.ok_or(Error::InvalidMailCode)?;
        let user = User::lock(&mut tx, user.id).await?;
        let user = user.filter(|user| user.email == link.email).ok_or(Error::InvalidMailCode)?;
        if user.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        self.admit(tx, user.id, device).await
    }
}
