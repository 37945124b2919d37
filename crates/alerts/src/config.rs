use kernel::{EmailAddress, Environment};
use secrecy::{ExposeSecret, SecretString};

use webhooks::Secret;

/// From when on something is wrong, and who is told.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Addresses that alerts are mailed to.
    #[arg(long, env, value_delimiter = ',')]
    pub alert_emails: Vec<EmailAddress>,

    /// An incoming webhook of Slack, or of anything that understands the same (Mattermost, Discord's /slack, Google Chat).
    #[arg(long, env, hide_env_values = true)]
    pub alert_slack_url: Option<SecretString>,

    /// A webhook of yours, for pagers and SMS: alerts are posted to it as signed JSON (Standard Webhooks).
    #[arg(long, env, hide_env_values = true)]
    pub alert_webhook_url: Option<SecretString>,

    /// What they are signed with: `whsec_` and 24 to 64 bytes in base64.
    #[arg(long, env, hide_env_values = true)]
    pub alert_webhook_secret: Option<SecretString>,

    /// Hours after which an alert that lasts is told again.
    #[arg(long, env, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub alert_remind_hours: u16,

    /// Percent of requests answered with 5xx, of the last five minutes, above which there is an alert.
    #[arg(long, env, default_value_t = 5)]
    pub alert_error_percent: i64,

    /// Seconds that a background job may be due before somebody works on it.
    #[arg(long, env, default_value_t = 300)]
    pub alert_queue_age_seconds: i64,

    /// Background jobs that may have failed for good.
    #[arg(long, env, default_value_t = 0)]
    pub alert_dead_letters: i64,

    /// Times in a row that a scheduled job may be due again before it has succeeded.
    #[arg(long, env, default_value_t = 5)]
    pub alert_missed_slots: i64,

    /// What the last hour of AI calls may cost, in percent of a usual hour.
    #[arg(long, env, default_value_t = 400)]
    pub alert_spend_percent: i64,

    /// Seconds that an event of Stripe's may wait to be applied.
    #[arg(long, env, default_value_t = 600)]
    pub alert_stripe_lag_seconds: i64,

    /// Percent of the last day's mails that may bounce, be complained of, or not be sent at all.
    #[arg(long, env, default_value_t = 5)]
    pub alert_bounce_percent: i64,

    /// Hours that the newest backup may be old.
    #[arg(long, env, default_value_t = 26)]
    pub alert_backup_hours: i64,

    /// Hours after it is due within which an erasure must be done.
    #[arg(long, env, default_value_t = 24)]
    pub alert_deletion_hours: i64,

    /// Workers that must live: two for each process that runs jobs, one for quick jobs and one for slow ones.
    #[arg(long, env, default_value_t = 2)]
    pub alert_workers: i64,
}

impl Config {
    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = vec![];
        if self.alert_webhook_url.is_some() && self.alert_webhook_secret.is_none() {
            problems.push("ALERT_WEBHOOK_SECRET is required with ALERT_WEBHOOK_URL".to_owned());
        }
        let secret = self.alert_webhook_secret.as_ref();
        if secret.is_some_and(|secret| Secret::read(secret.expose_secret()).is_none()) {
            problems.push(
                "ALERT_WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in base64".to_owned(),
            );
        }
        let urls = [
            ("ALERT_SLACK_URL", &self.alert_slack_url),
            ("ALERT_WEBHOOK_URL", &self.alert_webhook_url),
        ];
        for (name, url) in urls {
            let secure = |url: &SecretString| url.expose_secret().starts_with("https://");
            let local = environment == Environment::Development;
            if url.as_ref().is_some_and(|url| !secure(url) && !local) {
                problems.push(format!("{name} must be https"));
            }
        }
        problems
    }
}
