//! Mails: queued with what causes them, sent by a job, followed until the reader has them.

mod config;
mod domains;
mod events;
mod letter;
mod mails;
mod outbox;
mod pacing;
mod personal_data;
mod preferences;
mod previews;
mod suppressions;
mod transport;
mod trial;
mod unsubscribe;

use std::sync::Arc;

use app::{Check, Module};
use chrono::TimeDelta;
use hickory_resolver::TokioResolver;
use jobs::{Registry, Schedule};
use kernel::{Clock, EmailAddress, Id, User};
use secrecy::SecretString;
use sqlx::PgConnection;
use url::Url;
use web::Routes;

pub use config::Config;
pub use domains::Dns;
pub use letter::{Brand, Letter, Locale, Template, harmless, harmless_line};
pub use mails::{
    ActionMail, AlreadyRegistered, Announcement, ApprovalDecided, ClientApproval, CreditsLow,
    EmailChanged, InactivityNudge, InvitationMail, NewSignIn, Notice, PasswordReset, PaymentFailed,
    QuotaReached, ReceiptPaid, RenderComplete, SecurityNotice, SystemAlert, VerifyEmail,
    WeeklyDigest, Welcome,
};
pub use outbox::{Email, EmailEvent, EmailQuery, EmailRecord, Rates, Status};
pub use preferences::Category;
pub use previews::previews;
pub use suppressions::{Reason, Suppression};

use letter::{Footer, render};
use outbox::{NewEmail, Purge, SendEmail};
use pacing::Caps;
use preferences::Preferences;
use transport::Transport;
use unsubscribe::Tokens;

/// Writes mails into the outbox and sends them. Small: many hold one.
#[derive(Clone)]
pub struct Mailer {
    db: db::Db,
    clock: Clock,
    transport: Arc<Transport>,
    from: Arc<lettre::message::Mailbox>,
    brand: Arc<Brand>,
    tokens: Tokens,
    caps: Caps,
    retention: TimeDelta,
    attempt_lease: TimeDelta,
    told_with: Arc<events::Keys>,
    dns: Option<TokioResolver>,
}

impl Mailer {
    /// A mailer over the provider that `config` names; mails link to `app_url`. The first of `secrets`
    /// signs the links that end mails, all are believed.
    pub fn new(
        db: db::Db,
        clock: Clock,
        config: &Config,
        app_url: Url,
        secrets: impl IntoIterator<Item = SecretString>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            db,
            clock,
            transport: config.transport()?.into(),
            from: config.email_from.clone().into(),
            brand: config.brand(app_url).into(),
            tokens: Tokens::new(secrets)?,
            caps: Caps::new(config),
            retention: TimeDelta::days(config.email_retention_days),
            attempt_lease: config.attempt_lease(),
            told_with: config.keys()?.into(),
            dns: config.email_dns.map(Dns::resolver).transpose()?,
        })
    }

    /// How mails name the product.
    pub fn product(&self) -> &str {
        &self.brand.product
    }

    /// How the product appears in mails.
    pub fn brand(&self) -> &Brand {
        &self.brand
    }

    /// Writes a mail into the outbox and queues its sending, both with the caller's transaction.
    ///
    /// `user` is the account the mail is about, if there is one. Whether it is sent is decided when it is
    /// its turn: by preferences, suppressions and caps.
    pub async fn queue<T: Template>(
        &self,
        db: &mut PgConnection,
        recipient: &EmailAddress,
        user: Option<Id<User>>,
        template: &T,
    ) -> sqlx::Result<Id<Email>> {
        let email = self.write(&mut *db, recipient, user, template).await?;
        SendEmail::of(email).queued(T::CATEGORY).send(db).await?;
        Ok(email)
    }

    async fn write<T: Template>(
        &self,
        db: &mut PgConnection,
        recipient: &EmailAddress,
        user: Option<Id<User>>,
        template: &T,
    ) -> sqlx::Result<Id<Email>> {
        let locale = match user {
            Some(user) => Preferences::of(&mut *db, user).await?.locale,
            None => Locale::default(),
        };
        let id = Id::new();
        let link = self.unsubscribe_link(id);
        let footer = Footer { unsubscribe: T::CATEGORY.is_optional().then_some(&link) };
        let content = render(template, &self.brand, locale, footer)
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        let (template, category) = (T::NAME, T::CATEGORY);
        let (lets_in, content) = (T::LETS_IN, &content);
        let email = NewEmail { id, recipient, user, template, category, lets_in, content };
        email.insert(db, self.clock.now()).await?;
        Ok(id)
    }
}

/// What mail adds to the application.
pub fn module(mailer: Mailer) -> Module {
    let transport = mailer.transport.clone();
    let probe = move || {
        let transport = transport.clone();
        async move { Ok(transport.probe().await?) }
    };
    let routes = Routes::new()
        .merge(preferences::routes())
        .merge(unsubscribe::routes())
        .merge(events::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(mailer.clone()),
        checks: vec![Check::degrading("email", probe)],
        jobs: Registry::default().with::<SendEmail>(mailer.clone()).with::<Purge>(mailer),
        schedules: vec![Schedule::cron("40 2 * * *", &Purge {})],
        ..Module::default()
    }
}
