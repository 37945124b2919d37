use kernel::{EmailAddress, Environment};
use secrecy::{ExposeSecret, SecretString};
use webhooks::Secret;

/// Who is told of tickets, and how long things last.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Addresses that are mailed when a customer writes. The mail says where to read it, not what it says.
    #[arg(long, env, value_delimiter = ',')]
    pub support_emails: Vec<EmailAddress>,

    /// A webhook of your help desk: what customers write is posted to it as signed JSON (Standard Webhooks).
    #[arg(long, env, hide_env_values = true)]
    pub support_webhook_url: Option<SecretString>,

    /// What that is signed with: `whsec_` and 24 to 64 bytes in base64.
    #[arg(long, env, hide_env_values = true)]
    pub support_webhook_secret: Option<SecretString>,

    /// Days after its last message that a ticket is kept, and feedback after it was given.
    #[arg(long, env, default_value_t = 730, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub support_retention_days: i64,

    /// Days that notifications are kept.
    #[arg(long, env, default_value_t = 180, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub notifications_retention_days: i64,

    /// People who follow their notifications by events at the same time, in each process; more are refused with 503.
    #[arg(long, env, default_value_t = 500)]
    pub notifications_followers: u16,
}

impl Config {
    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = vec![];
        let Some(url) = &self.support_webhook_url else { return problems };
        if !url.expose_secret().starts_with("https://") && environment != Environment::Development {
            problems.push("SUPPORT_WEBHOOK_URL must be https".to_owned());
        }
        let secret = self.support_webhook_secret.as_ref();
        if secret.and_then(|it| Secret::read(it.expose_secret())).is_none() {
            problems.push(
                "SUPPORT_WEBHOOK_SECRET is required with SUPPORT_WEBHOOK_URL: whsec_ and 24 to 64 bytes in base64"
                    .to_owned(),
            );
        }
        problems
    }
}
