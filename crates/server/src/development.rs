use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use embedded_postgres::Postgres;
use kernel::Environment;
use rand::RngExt;
use secrecy::SecretString;
use simulators::{
    Pages, ai::Ai, identity, identity::Identity, mailbox::Mailbox, sink::Sink, stripe,
    stripe::Stripe,
};
use sqlx::postgres::PgConnectOptions;

use crate::{Role, Settings};

/// Everything a development machine writes, so that deleting one directory starts afresh.
const DIRECTORY: &str = ".data";

/// How far the simulators' ports are from the API's.
const STRIPE: u16 = 10;
const AI: u16 = 20;
const SMTP: u16 = 25;
const MAILBOX: u16 = 30;
const IDENTITY: u16 = 40;
const SINK: u16 = 50;
const PREVIEWS: u16 = 60;

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
    identity: Option<Identity>,
    sink: Option<Sink>,
    previews: Option<Pages>,
}

impl Development {
    /// Starts what is missing and points `settings` at it. Does nothing outside of development.
    ///
    /// The simulators belong to the process with the API: a worker uses those beside it. Unless they
    /// are `lasting`, they forget everything when they stop.
    pub async fn start(settings: &mut Settings, lasting: bool) -> anyhow::Result<Self> {
        let mut started = Self::database_only(settings).await?;
        if settings.app_env == Environment::Development {
            use_kept_secret(settings)?;
            settings.egress.egress_allow_loopback = true;
            if settings.does(Role::Api) {
                let simulators = started.start_simulators(settings, lasting).await;
                simulators.context("start the simulators")?;
            } else {
                use_simulators_beside(settings);
            }
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

    /// Starts the database, if one is missing, and points `settings` at the simulators and the secret of a server
    /// that runs beside, for commands that speak with the outside or open what is sealed.
    pub async fn beside(settings: &mut Settings) -> anyhow::Result<Self> {
        let started = Self::database_only(settings).await?;
        if settings.app_env == Environment::Development {
            use_kept_secret(settings)?;
            use_simulators_beside(settings);
        }
        Ok(started)
    }

    async fn start_simulators(&mut self, settings: &mut Settings, lasting: bool) -> io::Result<()> {
        let port = settings.port;
        if sells(settings) && settings.billing.stripe_secret_key.is_none() {
            let addr = free_or_any(port, STRIPE);
            // One file a port, so that two instances over one database do not overwrite each other.
            let state_file = Path::new(DIRECTORY).join(format!("stripe-{}.json", addr.port()));
            let stripe = Stripe::start(stripe::Config {
                addr,
                webhook_url: Some(format!("http://127.0.0.1:{port}/v1/webhooks/stripe")),
                webhook_secret: STRIPE_WEBHOOK_SECRET.to_owned(),
                secret_key: STRIPE_SECRET_KEY.to_owned(),
                state_file: (lasting && addr.port() != 0).then_some(state_file),
            });
            let stripe = stripe.await?;
            use_stripe(settings, &stripe.url());
            self.stripe = Some(stripe);
        }
        if settings.ai.is_empty() {
            let ai = Ai::start(free_or_any(port, AI)).await?;
            use_ai(settings, &ai.url());
            self.ai = Some(ai);
        }
        if !settings.email.is_set() {
            let mailbox =
                Mailbox::start(free_or_any(port, SMTP), free_or_any(port, MAILBOX)).await?;
            settings.email.smtp_url = Some(mailbox.smtp_url().into());
            self.mailbox = Some(mailbox);
        }
        if settings.auth.social.is_empty() {
            let identity = Identity::start(free_or_any(port, IDENTITY)).await?;
            use_identity(settings, &identity.url());
            self.identity = Some(identity);
        }
        self.sink = Some(Sink::start(free_or_any(port, SINK)).await?);
        let brand = settings.email.brand(settings.public_url());
        let previews = email::previews(brand);
        self.previews = Some(Pages::serve(free_or_any(port, PREVIEWS), previews).await?);
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
        let identity = self.identity.as_ref().map(|it| ("Identity simulator", it.url()));
        let sink = self.sink.as_ref().map(|it| ("Webhook sink", it.url()));
        let previews = self.previews.as_ref().map(|it| ("Mail previews", it.url()));
        let all = [mailbox, previews, stripe, ai, identity, sink, postgres];
        all.into_iter().flatten().collect()
    }

    /// Stops it all; the database last and cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop((self.stripe, self.ai, self.mailbox, self.identity, self.sink, self.previews));
        if let Some(postgres) = self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}

/// Points a worker at the simulators of the API's process.
fn use_simulators_beside(settings: &mut Settings) {
    let at = |offset| format!("127.0.0.1:{}", settings.port.saturating_add(offset));
    let (stripe, ai, smtp) = (at(STRIPE), at(AI), at(SMTP));
    if sells(settings) && settings.billing.stripe_secret_key.is_none() {
        use_stripe(settings, &format!("http://{stripe}"));
    }
    if settings.ai.is_empty() {
        use_ai(settings, &format!("http://{ai}/v1"));
    }
    if !settings.email.is_set() {
        settings.email.smtp_url = Some(format!("smtp://{smtp}").into());
    }
}

fn sells(settings: &Settings) -> bool {
    settings.billing.billing_mode == billing::Mode::Stripe
}

fn use_stripe(settings: &mut Settings, url: &str) {
    settings.billing.stripe_secret_key = Some(STRIPE_SECRET_KEY.into());
    settings.billing.stripe_webhook_secret = Some(STRIPE_WEBHOOK_SECRET.into());
    settings.billing.stripe_base_url = url.parse().ok();
}

/// The simulator is an OpenID Connect provider of its own, and GitHub too.
fn use_identity(settings: &mut Settings, url: &str) {
    let github = format!("{url}/github");
    let (id, secret) = (identity::CLIENT_ID, identity::CLIENT_SECRET);
    let social = &mut settings.auth.social;
    social.oidc_providers = Some(
        format!(
            r#"[{{"name": "google", "issuer": "{url}", "client_id": "{id}", "client_secret": "{secret}"}}]"#
        )
        .into(),
    );
    social.github_client_id = Some(id.to_owned());
    social.github_client_secret = Some(secret.into());
    social.github_url = github.parse().ok();
    social.github_api_url = github.parse().ok();
}

/// The simulator speaks for every provider.
fn use_ai(settings: &mut Settings, url: &str) {
    let ai = &mut settings.ai;
    ai.openai_api_key = Some("simulator".into());
    ai.anthropic_api_key = Some("simulator".into());
    url.clone_into(&mut ai.openai_base_url);
    url.clone_into(&mut ai.anthropic_base_url);
}

/// The loopback port at `offset` from the API's, or any if something else listens there.
fn free_or_any(port: u16, offset: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.checked_add(offset).unwrap_or(0)));
    let free = TcpListener::bind(wanted).is_ok();
    if free { wanted } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) }
}

/// What the server keeps in `.data`, unless a secret is set.
fn use_kept_secret(settings: &mut Settings) -> anyhow::Result<()> {
    if settings.auth.auth_secret.is_none() {
        settings.auth.auth_secret = Some(generated_secret().context("keep a secret in .data")?);
    }
    Ok(())
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
