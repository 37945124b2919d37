use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use embedded_postgres::Postgres;
use kernel::Environment;
use rand::RngExt;
use secrecy::SecretString;
use simulators::{ai::Ai, mailbox::Mailbox, stripe, stripe::Stripe};
use sqlx::postgres::PgConnectOptions;

use crate::Settings;

/// Everything a development machine writes, so that deleting one directory starts afresh.
const DIRECTORY: &str = ".data";

const STRIPE_SECRET_KEY: &str = "sk_test_simulator";
const STRIPE_WEBHOOK_SECRET: &str = "whsec_simulator";

/// What development starts because nothing else was configured: a database, and stand-ins for
/// other people's servers. The product talks to them as it talks to the real ones.
#[derive(Default)]
pub struct Development {
    postgres: Option<Postgres>,
    stripe: Option<Stripe>,
    ai: Option<Ai>,
    mailbox: Option<Mailbox>,
}

impl Development {
    /// Starts what is missing and points `settings` at it. Does nothing outside of development.
    pub async fn start(settings: &mut Settings) -> anyhow::Result<Self> {
        let mut started = Self::database_only(settings).await?;
        if settings.app_env == Environment::Development {
            if settings.auth.auth_secret.is_none() {
                let secret = generated_secret().context("keep a secret in .data")?;
                settings.auth.auth_secret = Some(secret);
            }
            started.start_simulators(settings).await.context("start the simulators")?;
        }
        Ok(started)
    }

    /// Starts the database alone, if one is missing, for commands that need nothing else.
    pub async fn database_only(settings: &Settings) -> anyhow::Result<Self> {
        let mut started = Self::default();
        if settings.app_env == Environment::Development && settings.db.database_url.is_none() {
            let config = embedded_postgres::Config::new(Path::new(DIRECTORY).join("postgres"));
            started.postgres = Some(Postgres::start(config).await?);
        }
        Ok(started)
    }

    async fn start_simulators(&mut self, settings: &mut Settings) -> io::Result<()> {
        let beside = |offset: u16| {
            let wanted = settings.port.checked_add(offset).unwrap_or(0);
            let wanted = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), wanted);
            let free = TcpListener::bind(wanted).is_ok();
            if free { wanted } else { SocketAddr::new(wanted.ip(), 0) }
        };
        let (stripe, ai, smtp, mailbox) = (beside(10), beside(20), beside(25), beside(30));
        if settings.billing.stripe_secret_key.is_none() {
            let stripe = Stripe::start(stripe::Config {
                addr: stripe,
                webhook_url: Some(format!("http://127.0.0.1:{}/v1/webhooks/stripe", settings.port)),
                webhook_secret: STRIPE_WEBHOOK_SECRET.to_owned(),
                secret_key: STRIPE_SECRET_KEY.to_owned(),
                state_file: Some(Path::new(DIRECTORY).join("stripe.json")),
            });
            let stripe = stripe.await?;
            settings.billing.stripe_secret_key = Some(STRIPE_SECRET_KEY.into());
            settings.billing.stripe_webhook_secret = Some(STRIPE_WEBHOOK_SECRET.into());
            settings.billing.stripe_base_url = stripe.url().parse().ok();
            self.stripe = Some(stripe);
        }
        if settings.ai.openai_api_key.is_none()
            && settings.ai.openai_base_url.starts_with("https://api.openai.com")
        {
            let ai = Ai::start(ai).await?;
            settings.ai.openai_api_key = Some("simulator".into());
            settings.ai.openai_base_url = ai.url();
            self.ai = Some(ai);
        }
        if settings.email.smtp_url.is_none() {
            let mailbox = Mailbox::start(smtp, mailbox).await?;
            settings.email.smtp_url = Some(mailbox.smtp_url().into());
            self.mailbox = Some(mailbox);
        }
        Ok(())
    }

    /// The database that was started, if one was.
    pub fn database(&self) -> Option<PgConnectOptions> {
        self.postgres.as_ref().map(Postgres::options)
    }

    /// What was started, for people: name and address.
    pub fn companions(&self) -> Vec<(&'static str, String)> {
        let postgres = self.postgres.as_ref().map(|it| ("Postgres", it.url()));
        let mailbox = self.mailbox.as_ref().map(|it| ("Mailbox", it.url()));
        let stripe = self.stripe.as_ref().map(|it| ("Stripe simulator", it.url()));
        let ai = self.ai.as_ref().map(|it| ("AI simulator", it.url()));
        [mailbox, stripe, ai, postgres].into_iter().flatten().collect()
    }

    /// Stops it all; the database last and cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop((self.stripe, self.ai, self.mailbox));
        if let Some(postgres) = self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}

/// A secret of this machine: made once, readable by nobody else, so that people stay signed in when
/// the server restarts.
fn generated_secret() -> io::Result<SecretString> {
    let path = Path::new(DIRECTORY).join("auth-secret");
    if let Ok(secret) = fs::read_to_string(&path) {
        return Ok(secret.trim().into());
    }
    fs::create_dir_all(DIRECTORY)?;
    let secret: String =
        rand::rng().sample_iter(rand::distr::Alphanumeric).take(48).map(char::from).collect();
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match file {
        Ok(mut file) => io::Write::write_all(&mut file, secret.as_bytes())?,
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return fs::read_to_string(&path).map(|secret| secret.trim().into());
        }
        Err(error) => return Err(error),
    }
    Ok(secret.into())
}
