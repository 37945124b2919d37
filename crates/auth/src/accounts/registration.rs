use chrono::{DateTime, Utc};
use email::AlreadyRegistered;
use kernel::{EmailAddress, Id, Org};
use secrecy::SecretString;
use sqlx::PgConnection;
use web::ClientIp;

use crate::{
    Auth, Result,
    abuse::limits::MailRequest,
    accounts::email_token::{EmailToken, Purpose},
    accounts::user::{Name, User},
    lifetimes,
    orgs::org::Membership,
};

/// What somebody registers with.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Where they say they can be reached.
    pub email: EmailAddress,
    /// What they are called.
    pub name: Name,
    /// What they will sign in with.
    pub password: SecretString,
}

/// An account with the org that everybody has for themselves.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Who.
    pub user: Id<kernel::User>,
    /// The org that signing in leads to.
    pub org: Id<Org>,
}

impl Auth {
    /// Makes an account and mails its address a link to confirm it. If the address has an account,
    /// its owner gets a mail instead, and the caller the same answer.
    pub async fn register(&self, new: &Registration, ip: ClientIp) -> Result<()> {
        self.check_password(&new.password, &new.email, new.name.as_str())?;
        self.limit_mail_request(ip, &new.email, MailRequest::Registration).await?;
        let may_mail = self.may_mail(&new.email, MailRequest::Registration).await?;
        let hash = self.passwords.hash(&new.password).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if let Some(made) = self.create_account(&mut tx, new, &hash, now).await? {
            if may_mail {
                self.mail_verification(&mut tx, made.user, &new.email, now).await?;
            }
        } else if may_mail {
            self.register_again(&mut tx, new, &hash, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Makes an account that needs no confirmation: for seeds and tests. An account that is there
    /// already counts as confirmed from now on, and otherwise stays as it is.
    pub async fn register_verified(&self, new: &Registration) -> Result<Registered> {
        self.check_password(&new.password, &new.email, new.name.as_str())?;
        let hash = self.passwords.hash(&new.password).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let registered = match self.create_account(&mut tx, new, &hash, now).await? {
            Some(made) => made,
            None => existing(&mut tx, &new.email).await?,
        };
        User::verify_email(&mut tx, registered.user, now).await?;
        tx.commit().await?;
        Ok(registered)
    }

    /// `None` if the address has an account.
    async fn create_account(
        &self,
        db: &mut PgConnection,
        new: &Registration,
        password_hash: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Registered>> {
        let user = User::insert(db, &new.email, &new.name, password_hash, now).await?;
        let Some(user) = user else { return Ok(None) };
        let org = Membership::create_personal_org(db, user, &new.name, now).await?;
        quotas::entitle_new(db, org, &self.free, now).await?;
        Ok(Some(Registered { user, org }))
    }

    /// An account whose address was never confirmed is nobody's yet. Whoever registers the address
    /// last decides name and password, and earlier links die: otherwise a stranger could lay a
    /// password in wait for the owner's confirmation.
    async fn register_again(
        &self,
        db: &mut PgConnection,
        new: &Registration,
        password_hash: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let Some(found) = User::by_email(&mut *db, &new.email).await? else { return Ok(()) };
        let Some(user) = User::lock(db, found.id).await? else { return Ok(()) };
        if user.email_verified_at.is_some() {
            let mail = AlreadyRegistered { name: &user.name };
            self.mailer.queue(db, &user.email, Some(user.id), &mail).await?;
            return Ok(());
        }
        let pause = now - lifetimes::VERIFICATION_PAUSE;
        if EmailToken::was_issued_since(&mut *db, user.id, Purpose::VerifyEmail, pause).await? {
            return Ok(());
        }
        User::set_name(db, user.id, &new.name).await?;
        User::set_password(db, user.id, password_hash).await?;
        self.mail_verification(db, user.id, &user.email, now).await
    }
}

async fn existing(db: &mut PgConnection, email: &EmailAddress) -> sqlx::Result<Registered> {
    let user = User::by_email(&mut *db, email).await?.ok_or(sqlx::Error::RowNotFound)?.id;
    let membership = Membership::first_of(db, user).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Registered { user, org: membership.org })
}
