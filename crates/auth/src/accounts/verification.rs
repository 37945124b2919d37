use chrono::{DateTime, Utc};
use email::{VerifyEmail, Welcome};
use jobs::{Job, enqueue};
use kernel::{EmailAddress, Id};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use web::ClientIp;

use crate::{
    Auth, Error, Result,
    abuse::limits::MailRequest,
    accounts::email_token::{EmailToken, Purpose},
    accounts::user::User,
    lifetimes,
};

/// Sends another link to an address, if it belongs to an account that waits for one.
///
/// A job, so that the answer to the request cannot tell whether there is such an account.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendVerification {
    pub(crate) email: EmailAddress,
}

impl Job for SendVerification {
    const NAME: &'static str = "auth.send_verification";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let found = User::by_email(auth.db.pool(), &self.email).await?;
        let Some(found) = found.filter(|user| user.email_verified_at.is_none()) else {
            return Ok(());
        };
        if !auth.may_mail(&self.email, MailRequest::Verification).await? {
            return Ok(());
        }
        let mut tx = auth.db.begin().await?;
        let user = User::lock(&mut tx, found.id).await?;
        if let Some(user) = user.filter(|user| user.email_verified_at.is_none()) {
            auth.mail_verification(&mut tx, user.id, &user.email, auth.clock.now()).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Auth {
    /// Asks for another link.
    pub async fn request_verification(&self, email: EmailAddress, ip: ClientIp) -> Result<()> {
        self.limit_mail_request(ip, &email, MailRequest::Verification).await?;
        let mut db = self.db.pool().acquire().await?;
        Ok(enqueue(&mut db, &SendVerification { email }).await?)
    }

    /// Confirms the address that the link with `token` was sent to.
    pub async fn verify_email(&self, token: &str, ip: ClientIp) -> Result<EmailAddress> {
        self.limit_links(ip).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let sent = EmailToken::consume(&mut tx, token, Purpose::VerifyEmail, now).await?;
        let sent = sent.ok_or(Error::InvalidLink)?;
        let user = User::lock(&mut tx, sent.user).await?;
        let user = user.filter(|user| user.email == sent.email).ok_or(Error::InvalidLink)?;
        if User::verify_email(&mut tx, user.id, now).await? {
            let mail = Welcome { name: &user.name };
            self.mailer.queue(&mut tx, &user.email, Some(user.id), &mail).await?;
        }
        tx.commit().await?;
        Ok(user.email)
    }

    /// The caller holds the lock of `user`.
    pub(crate) async fn mail_verification(
        &self,
        db: &mut PgConnection,
        user: Id<kernel::User>,
        email: &EmailAddress,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let token = EmailToken::issue(db, user, email, Purpose::VerifyEmail, now).await?;
        let link = self.link("email-verifications", &token);
        let mail = VerifyEmail { link: &link, hours: lifetimes::VERIFICATION.num_hours() };
        self.mailer.queue(db, email, Some(user), &mail).await?;
        Ok(())
    }
}
