//! Mails: queued with what causes them, sent by a job, at most once.

mod config;
mod email;
mod mails;
mod message;
mod send;
mod smtp;
mod template;

use app::{Check, Module};
use jobs::{Registry, enqueue};
use kernel::{Clock, EmailAddress, Id, User};
use sqlx::PgConnection;
use url::Url;

pub use config::Config;
pub use email::Email;
pub use mails::{
    ActionMail, AlreadyRegistered, InvitationMail, Notice, PasswordReset, VerifyEmail, Welcome,
};
pub use template::{Brand, Template, greeting, harmless};

use send::SendEmail;
use smtp::Smtp;

/// Writes mails into the outbox and sends them.
#[derive(Clone)]
pub struct Mailer {
    db: db::Db,
    clock: Clock,
    smtp: Smtp,
    from: lettre::message::Mailbox,
    brand: Brand,
}

impl Mailer {
    /// A mailer over the server that `config` names; mails link to `app_url`.
    pub fn new(db: db::Db, clock: Clock, config: &Config, app_url: Url) -> anyhow::Result<Self> {
        let from = config.email_from.clone();
        let product = from.name.clone().unwrap_or_else(|| from.email.domain().to_owned());
        Ok(Self { db, clock, smtp: config.smtp()?, from, brand: Brand { product, app_url } })
    }

    /// How mails name the product.
    pub fn product(&self) -> &str {
        &self.brand.product
    }

    /// Writes a mail into the outbox and queues its sending, both with the caller's transaction.
    ///
    /// `user` is the account the mail is about, if there is one.
    pub async fn queue<T: Template>(
        &self,
        db: &mut PgConnection,
        recipient: &EmailAddress,
        user: Option<Id<User>>,
        template: &T,
    ) -> sqlx::Result<Id<Email>> {
        let content = template::render(template, &self.brand)
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        let email = Email::insert(db, recipient, user, T::NAME, &content, self.clock.now()).await?;
        enqueue(db, &SendEmail { email }).await?;
        Ok(email)
    }
}

/// What mail adds to the application.
pub fn module(mailer: Mailer) -> Module {
    let smtp = mailer.smtp.clone();
    let probe = move || {
        let smtp = smtp.clone();
        async move { Ok(smtp.probe().await?) }
    };
    Module {
        checks: vec![Check::degrading("email", probe)],
        jobs: Registry::default().with::<SendEmail>(mailer),
        ..Module::default()
    }
}
