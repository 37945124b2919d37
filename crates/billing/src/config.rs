use kernel::Environment;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Whether anything is sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Plans and credits, through Stripe.
    #[default]
    Stripe,
    /// Nothing: everybody has the free plan and what operators give.
    Free,
}

/// What is sold, and how Stripe is reached. Without keys the product runs, but nothing can be bought.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Whether plans and credits are sold through Stripe, or everything is free: stripe or free.
    #[arg(long, env, value_enum, default_value_t)]
    pub billing_mode: Mode,

    /// Days for which a plan stays in force although its renewal could not be collected.
    #[arg(long, env, default_value_t = 7, value_parser = clap::value_parser!(u32).range(..=90))]
    pub billing_grace_days: u32,

    /// Whether promotion codes made in Stripe's dashboard may be entered when paying.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub stripe_promotion_codes: bool,

    /// Whether Stripe computes taxes (Stripe Tax must be set up) and asks for address and tax id.
    #[arg(long, env, default_value_t = false, action = clap::ArgAction::Set)]
    pub stripe_automatic_tax: bool,

    /// Stripe's secret key (`sk_…`, or a restricted `rk_…`). Unset, nothing can be bought.
    #[arg(long, env, hide_env_values = true)]
    pub stripe_secret_key: Option<SecretString>,

    /// The signing secret (`whsec_…`) of Stripe's webhook endpoint for `/v1/webhooks/stripe`.
    #[arg(long, env, hide_env_values = true)]
    pub stripe_webhook_secret: Option<SecretString>,

    /// Where Stripe's API is, if not at `https://api.stripe.com`.
    #[arg(long, env)]
    pub stripe_base_url: Option<Url>,

    /// Milliseconds each attempt of a call to Stripe may take; there are up to four.
    #[arg(long, env, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pub stripe_timeout_ms: u64,
}

impl Config {
    /// What is wrong with these settings together, to be shown with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = Vec::new();
        if self.stripe_secret_key.is_some() != self.stripe_webhook_secret.is_some() {
            problems.push(
                "STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET must be set both or neither: without \
                 events nobody gets what they paid for"
                    .to_owned(),
            );
        }
        if self.billing_mode == Mode::Free && self.stripe_secret_key.is_some() {
            problems
                .push("BILLING_MODE=free and STRIPE_SECRET_KEY contradict each other".to_owned());
        }
        if let Some(key) = &self.stripe_secret_key {
            problems.extend(mode_problem(key, environment));
        }
        let secret = self.stripe_webhook_secret.as_ref();
        if secret.is_some_and(|secret| !secret.expose_secret().starts_with("whsec_")) {
            problems.push("STRIPE_WEBHOOK_SECRET must begin with whsec_".to_owned());
        }
        let url = self.stripe_base_url.as_ref();
        if environment.is_production() && url.is_some_and(|url| url.scheme() != "https") {
            problems.push("STRIPE_BASE_URL must be https in production".to_owned());
        }
        problems
    }

    /// Whether the key moves real money.
    pub(crate) fn is_live(&self) -> bool {
        self.stripe_secret_key.as_ref().is_some_and(|key| kind(key) == Some(KeyKind::Live))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Test,
    Live,
}

fn kind(key: &SecretString) -> Option<KeyKind> {
    let key = key.expose_secret();
    let key = key.strip_prefix("sk_").or_else(|| key.strip_prefix("rk_"))?;
    match key.split_once('_')? {
        ("live", _) => Some(KeyKind::Live),
        ("test", _) => Some(KeyKind::Test),
        _ => None,
    }
}

fn mode_problem(key: &SecretString, environment: Environment) -> Option<String> {
    let problem = match (kind(key), environment.is_production()) {
        (None, _) => "must begin with sk_live_, sk_test_, rk_live_ or rk_test_",
        (Some(KeyKind::Test), true) => {
            "is a test key, with which nobody pays: production needs a live key"
        }
        (Some(KeyKind::Live), false) => "is a live key, which belongs in production only",
        _ => return None,
    };
    Some(format!("STRIPE_SECRET_KEY {problem}"))
}

#[cfg(test)]
mod tests {
    use kernel::Environment::{Development, Production, Staging};

    use super::{Config, Mode};

    fn config(key: Option<&str>, secret: Option<&str>, url: Option<&str>) -> Config {
        Config {
            billing_mode: Mode::Stripe,
            billing_grace_days: 7,
            stripe_promotion_codes: true,
            stripe_automatic_tax: false,
            stripe_secret_key: key.map(Into::into),
            stripe_webhook_secret: secret.map(Into::into),
            stripe_base_url: url.map(|url| url.parse().unwrap()),
            stripe_timeout_ms: 5000,
        }
    }

    #[test]
    fn key_and_webhook_secret_come_together() {
        assert!(config(None, None, None).problems(Production).is_empty());
        assert!(config(Some("sk_test_1"), Some("whsec_1"), None).problems(Staging).is_empty());
        assert_eq!(config(Some("sk_test_1"), None, None).problems(Staging).len(), 1);
        assert_eq!(config(None, Some("whsec_1"), None).problems(Staging).len(), 1);
    }

    #[test]
    fn real_money_moves_in_production_only_and_there_always() {
        for (key, environment, refused) in [
            ("sk_live_1", Production, false),
            ("rk_live_1", Production, false),
            ("sk_test_1", Production, true),
            ("rk_test_1", Production, true),
            ("sk_live_1", Staging, true),
            ("sk_live_1", Development, true),
            ("sk_test_live_1", Development, false),
            ("pk_test_1", Development, true),
            ("", Development, true),
        ] {
            let problems = config(Some(key), Some("whsec_1"), None).problems(environment);
            assert_eq!(!problems.is_empty(), refused, "{key} in {environment}: {problems:?}");
        }
        assert!(config(Some("sk_live_1"), None, None).is_live());
        assert!(!config(Some("sk_test_live_1"), None, None).is_live());
    }

    #[test]
    fn free_mode_and_keys_contradict_each_other() {
        let free = |key| Config {
            billing_mode: Mode::Free,
            ..config(key, key.and(Some("whsec_1")), None)
        };
        assert!(free(None).problems(Production).is_empty());
        assert_eq!(free(Some("sk_live_1")).problems(Production).len(), 1);
    }

    #[test]
    fn swapped_secrets_are_noticed() {
        assert_eq!(config(Some("whsec_1"), Some("sk_test_1"), None).problems(Development).len(), 2);
    }

    #[test]
    fn the_key_is_never_sent_unencrypted_in_production() {
        let simulated = config(None, None, Some("http://127.0.0.1:12111"));
        assert!(simulated.problems(Development).is_empty());
        assert_eq!(simulated.problems(Production).len(), 1);
    }
}
