use std::{sync::Arc, time::Duration};

use chrono::{NaiveDate, TimeDelta};
use kernel::Environment;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    Brand, Dns,
    events::{Keys, PublicKey, Secret},
    transport::{Authority, Dkim, Resend, Smtp, Transport},
};

/// Who mails come from, who takes them, and how many.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// The mail server: `smtps://user:password@host`, or `smtp://user:password@host:587` for STARTTLS. Only a server on this
    /// machine is spoken to in the clear, unless the URL ends in `?tls=off`, or `?tls=on`. Unset, a mailbox for development is
    /// started.
    #[arg(long, env, hide_env_values = true)]
    pub smtp_url: Option<SecretString>,

    /// A certificate (PEM) that vouches for the mail server, beside the authorities that everybody believes: a relay of your
    /// own may have one.
    #[arg(long, env)]
    pub smtp_ca_certificate: Option<String>,

    /// Resend's API key; with it mails go through Resend's API instead of an SMTP server.
    #[arg(long, env, hide_env_values = true)]
    pub resend_api_key: Option<SecretString>,

    /// Where Resend's API is.
    #[arg(long, env, default_value = "https://api.resend.com")]
    pub resend_base_url: Url,

    /// The signing secret (`whsec_…`) of the webhook by which Resend tells of bounces and complaints.
    #[arg(long, env, hide_env_values = true)]
    pub resend_webhook_secret: Option<SecretString>,

    /// The verification key of the webhook by which SendGrid tells of bounces and complaints, if that is whose SMTP server
    /// takes mails.
    #[arg(long, env)]
    pub sendgrid_webhook_key: Option<String>,

    /// The name of the DKIM key in DNS: `SELECTOR._domainkey.` before the domain of `EMAIL_FROM`.
    #[arg(long, env)]
    pub dkim_selector: Option<String>,

    /// The DKIM key that mails over SMTP are signed with, if the server does not: an RSA key as PEM (`BEGIN RSA PRIVATE
    /// KEY`), or the 32 bytes of an Ed25519 key in base 64.
    #[arg(long, env, hide_env_values = true)]
    pub dkim_private_key: Option<SecretString>,

    /// Who mails come from. The name before the address is what mails call the product.
    #[arg(long, env, default_value = "Slipway <hello@localhost.localdomain>")]
    pub email_from: Mailbox,

    /// Seconds that handing over one mail may take.
    #[arg(long, env, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub email_timeout_seconds: u64,

    /// How many mails may leave a day. What people need is sent in any case; the rest waits for the next day.
    #[arg(long, env)]
    pub email_daily_limit: Option<u32>,

    /// The day on which a new domain or address began to send, such as 2027-01-31: from then on the daily limit grows.
    #[arg(long, env)]
    pub email_warm_up_since: Option<NaiveDate>,

    /// How many mails leave on that first day.
    #[arg(long, env, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub email_warm_up_first_day: u32,

    /// By how many percent the limit grows from day to day while warming up.
    #[arg(long, env, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub email_warm_up_growth_percent: u32,

    /// How many mails of `renders`, `digest`, `nudges` and `news` a person gets a day. Further ones are dropped.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub email_optional_per_person: u32,

    /// Whose DNS is asked whether the domain of an address takes mail, when somebody registers with it, is invited or asked
    /// for approval: `system`, or a server such as `9.9.9.9:53`. Unset: none, every address is taken.
    #[arg(long, env)]
    pub email_dns: Option<Dns>,

    /// Days for which the log of mails is kept, with what became of them. The links that end mails work for as long.
    #[arg(long, env, default_value_t = 90, value_parser = clap::value_parser!(i64).range(60..=3650))]
    pub email_retention_days: i64,
}

impl Config {
    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let url = self.smtp_url.as_ref().map(ExposeSecret::expose_secret);
        let mut problems = Vec::new();
        if let Some(Err(error)) = url.map(|url| self.server(url)) {
            problems.push(error.to_string());
        }
        if url.is_some() && self.resend_api_key.is_some() {
            problems.push("SMTP_URL and RESEND_API_KEY are both set; keep one".to_owned());
        }
        if self.sendgrid_webhook_key.is_some() && self.resend_api_key.is_some() {
            problems.push("SENDGRID_WEBHOOK_KEY goes with SMTP_URL, not RESEND_API_KEY".to_owned());
        }
        problems.extend(self.keys().err().map(|error| error.to_string()));
        problems.extend(self.dkim().err().map(|error| format!("DKIM_PRIVATE_KEY {error}")));
        if environment.is_production() {
            problems.extend(self.problems_in_production(url));
        }
        problems
    }

    fn problems_in_production(&self, url: Option<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        if url.is_some_and(|url| url.contains("tls=off")) {
            problems.push("SMTP_URL turns encryption off".to_owned());
        }
        if self.resend_base_url.scheme() != "https" {
            problems.push("RESEND_BASE_URL must be https in production".to_owned());
        }
        if self.email_from.email.domain().ends_with("localdomain") {
            problems.push("EMAIL_FROM is not set to an address of yours".to_owned());
        }
        problems
    }

    /// How the product that lives at `app_url` appears in mails.
    pub fn brand(&self, app_url: Url) -> Brand {
        let from = &self.email_from;
        let product = from.name.clone().unwrap_or_else(|| from.email.domain().to_owned());
        Brand { product, app_url }
    }

    /// Whether there is somebody to take mails.
    pub fn is_set(&self) -> bool {
        self.smtp_url.is_some() || self.resend_api_key.is_some()
    }

    /// Who takes mails, which must be known by now.
    pub(crate) fn transport(&self) -> anyhow::Result<Transport> {
        if let Some(key) = &self.resend_api_key {
            let url = self.resend_base_url.clone();
            return Ok(Transport::Resend(Resend::new(url, key.clone(), self.time_limit())?));
        }
        let url = self.smtp_url.as_ref();
        let url = url.ok_or_else(|| anyhow::anyhow!("SMTP_URL is not set"))?;
        let server = self.server(url.expose_secret())?;
        Ok(Transport::Smtp { server, dkim: self.dkim()?.map(Arc::new) })
    }

    /// What providers' messages are verified with.
    pub(crate) fn keys(&self) -> anyhow::Result<Keys> {
        let resend = self.resend_webhook_secret.as_ref().map(ExposeSecret::expose_secret);
        let resend = resend.map(Secret::parse).transpose();
        let sendgrid = self.sendgrid_webhook_key.as_deref().map(PublicKey::parse).transpose();
        let of = |name| move |error| anyhow::anyhow!("{name} {error}");
        Ok(Keys {
            resend: resend.map_err(of("RESEND_WEBHOOK_SECRET"))?,
            sendgrid: sendgrid.map_err(of("SENDGRID_WEBHOOK_KEY"))?,
        })
    }

    fn dkim(&self) -> anyhow::Result<Option<Dkim>> {
        let domain = self.email_from.email.domain();
        match (&self.dkim_selector, &self.dkim_private_key) {
            (Some(selector), Some(key)) => {
                Dkim::new(selector, domain, key.expose_secret()).map(Some)
            }
            (None, None) => Ok(None),
            _ => anyhow::bail!("and DKIM_SELECTOR go together; one is not set"),
        }
    }

    fn server(&self, url: &str) -> anyhow::Result<Smtp> {
        let vouches = self.smtp_ca_certificate.as_ref().map(|pem| authority(pem)).transpose()?;
        Smtp::new(url, vouches, self.time_limit())
            .map_err(|error| anyhow::anyhow!("SMTP_URL {error}"))
    }

    /// When an attempt that nobody ended is over: its process died.
    pub(crate) fn attempt_lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.time_limit() + Duration::from_secs(10)).unwrap_or_default()
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(self.email_timeout_seconds)
    }
}

fn authority(pem: &str) -> anyhow::Result<Authority> {
    let authority = Authority::from_pem(pem.as_bytes());
    authority.map_err(|_| anyhow::anyhow!("SMTP_CA_CERTIFICATE is not a certificate in PEM"))
}
