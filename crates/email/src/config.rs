use std::time::Duration;

use kernel::Environment;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};

use crate::smtp::{InvalidUrl, Smtp};

/// Who mails come from, and the server that takes them.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// The mail server: `smtps://user:password@host`, or `smtp://user:password@host:587` for STARTTLS. Only a server on this
    /// machine is spoken to in the clear, unless the URL ends in `?tls=off`. Unset, a mailbox for development is started.
    #[arg(long, env, hide_env_values = true)]
    pub smtp_url: Option<SecretString>,

    /// Who mails come from. The name before the address is what mails call the product.
    #[arg(long, env, default_value = "Slipway <hello@localhost.localdomain>")]
    pub email_from: Mailbox,

    /// Seconds that handing over one mail may take.
    #[arg(long, env, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub email_timeout_seconds: u64,
}

impl Config {
    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let url = self.smtp_url.as_ref().map(ExposeSecret::expose_secret);
        let mut problems = Vec::new();
        if let Some(Err(error)) = url.map(|url| self.server(url)) {
            problems.push(format!("SMTP_URL {error}"));
        }
        if url.is_none() && environment != Environment::Development {
            problems.push(format!("SMTP_URL is not set, which {environment} needs"));
        }
        if environment.is_production() {
            if url.is_some_and(|url| url.contains("tls=off")) {
                problems.push("SMTP_URL turns encryption off".to_owned());
            }
            if self.email_from.email.domain().ends_with("localdomain") {
                problems.push("EMAIL_FROM is not set to an address of yours".to_owned());
            }
        }
        problems
    }

    /// The mail server, which must be known by now.
    pub(crate) fn smtp(&self) -> anyhow::Result<Smtp> {
        let url = self.smtp_url.as_ref();
        let url = url.ok_or_else(|| anyhow::anyhow!("SMTP_URL is not set"))?;
        self.server(url.expose_secret()).map_err(|error| anyhow::anyhow!("SMTP_URL {error}"))
    }

    fn server(&self, url: &str) -> Result<Smtp, InvalidUrl> {
        Smtp::new(url, Duration::from_secs(self.email_timeout_seconds))
    }
}
