use chrono::{DateTime, Utc};
use email::{AlreadyRegistered, VerifyEmail};
use jobs::{Enqueue, Job};
use kernel::{EmailAddress, Id, Org};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use web::ClientIp;

use super::{pending::Pending, user::User};
use crate::{
    Auth, Name, Result, abuse::limits::MailRequest, lifetimes, orgs::org::Membership,
    sign_up::hash_of,
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

/// Sends the address of a registration its link, once. If it has an account, its owner is told so instead.
///
/// A job, so that neither the answer to the request nor its time tells which of the two.
#[derive(Serialize, Deserialize)]
pub(crate) struct MailRegistration {
    hash: [u8; 32],
}

impl Job for MailRegistration {
    const NAME: &'static str = "auth.mail_registration";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let Some(email) = Pending::address(auth.db.pool(), &self.hash).await? else {
            return Ok(());
        };
        if !auth.may_mail(&email, MailRequest::Registration).await? {
            return Ok(());
        }
        let mut tx = auth.db.begin().await?;
        if let Some(token) = Pending::begin(&mut tx, &self.hash).await? {
            auth.mail_registration(&mut tx, &email, &token).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Auth {
    /// Keeps what somebody registers with, and has the address mailed a link that makes an account of it.
    /// Whether it has an account already is not looked at here: so the answer and its time do not tell.
    pub async fn register(
        &self,
        new: &Registration,
        invite_code: Option<&str>,
        ip: ClientIp,
    ) -> Result<()> {
        self.check_password(&new.password, &new.email, new.name.as_str())?;
        self.limit_mail_request(ip, &new.email, MailRequest::Registration).await?;
        let invite_code = invite_code.map(hash_of);
        let invite_code = self.may_register(&new.email, invite_code.as_ref()).await?;
        let pending = Pending {
            email: new.email.clone(),
            name: new.name.as_str().to_owned(),
            password_hash: self.passwords.hash(&new.password).await?,
            invite_code,
        };
        let mut tx = self.db.begin().await?;
        if let Some(hash) = pending.insert(&mut tx, self.clock.now()).await? {
            Enqueue::new(&MailRegistration { hash }).urgent().send(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes an account that needs no confirmation: for seeds and tests. One that is there already
    /// stays as it is.
    pub async fn register_verified(&self, new: &Registration) -> Result<Registered> {
        self.check_password(&new.password, &new.email, new.name.as_str())?;
        let hash = self.passwords.hash(&new.password).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let name = new.name.as_str();
        let made = self.create_account(&mut tx, &new.email, name, Some(&hash), now).await?;
        let registered = match made {
            Some(made) => made,
            None => existing(&mut tx, &new.email).await?,
        };
        tx.commit().await?;
        Ok(registered)
    }

    /// Makes the account of somebody who has shown that `email` is theirs; `None` if it has one.
    /// What others registered for the address is void from now on.
    pub(crate) async fn create_account(
        &self,
        db: &mut PgConnection,
        email: &EmailAddress,
        name: &str,
        password_hash: Option<&str>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Registered>> {
        let user = User::insert(db, email, name, password_hash, now).await?;
        let Some(user) = user else { return Ok(None) };
        let org = self.found_personal_org(db, user, name, now).await?;
        Pending::void_all(db, email).await?;
        Ok(Some(Registered { user, org }))
    }

    /// Mails a link for a registration, or its address's owner that they have an account.
    pub(crate) async fn mail_registration(
        &self,
        db: &mut PgConnection,
        email: &EmailAddress,
        token: &str,
    ) -> sqlx::Result<()> {
        if let Some(owner) = User::by_email(&mut *db, email).await? {
            let mail = AlreadyRegistered { name: &owner.name };
            self.mailer.queue(db, email, Some(owner.id), &mail).await?;
        } else {
            let link = self.link("email-verifications", token);
            let mail = VerifyEmail { link: &link, hours: lifetimes::REGISTRATION.num_hours() };
            self.mailer.queue(db, email, None, &mail).await?;
        }
        Ok(())
    }
}

async fn existing(db: &mut PgConnection, email: &EmailAddress) -> sqlx::Result<Registered> {
    let user = User::by_email(&mut *db, email).await?.ok_or(sqlx::Error::RowNotFound)?.id;
    let membership = Membership::first_of(db, user).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Registered { user, org: membership.org })
}
