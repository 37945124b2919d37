use kernel::Environment;
use secrecy::{ExposeSecret, SecretString};

use crate::{passwords, sessions, sign_up, social};

/// Everything about accounts that a deployment decides.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Config {
    /// At least 32 random bytes from which the signing keys are derived, such as of `openssl rand -base64 32`. Unset, development makes its own.
    #[arg(long, env, hide_env_values = true)]
    pub auth_secret: Option<SecretString>,

    /// The `AUTH_SECRET` before this one. Access tokens it signed stay valid until it is removed; a quarter of an hour is enough.
    #[arg(long, env, hide_env_values = true)]
    pub auth_secret_previous: Option<SecretString>,

    /// Passwords.
    #[command(flatten)]
    pub passwords: passwords::Config,

    /// Sessions.
    #[command(flatten)]
    pub sessions: sessions::Config,

    /// Who may register.
    #[command(flatten)]
    pub sign_up: sign_up::Config,

    /// Accounts elsewhere.
    #[command(flatten)]
    pub social: social::Config,

    /// Refused sign-ins within an hour that block a network for an hour. 0 blocks nobody.
    #[arg(long, env, default_value_t = 100)]
    pub block_after_refused_sign_ins: u32,
}

impl Config {
    /// The secrets that there are, the newest first.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> + Clone {
        [&self.auth_secret, &self.auth_secret_previous].into_iter().flatten()
    }

    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = Vec::new();
        if self.auth_secret.is_none() && environment != Environment::Development {
            problems.push(format!("AUTH_SECRET is not set, which {environment} needs"));
        }
        let secrets = [
            ("AUTH_SECRET", &self.auth_secret),
            ("AUTH_SECRET_PREVIOUS", &self.auth_secret_previous),
        ];
        for (name, secret) in secrets {
            if secret.as_ref().is_some_and(|secret| sealing::is_weak(secret.expose_secret())) {
                problems.push(format!(
                    "{name} can be guessed: it needs at least 32 random bytes (openssl rand -base64 32)"
                ));
            }
        }
        problems.extend(self.passwords.problem());
        problems.extend(self.sessions.problem());
        problems.extend(self.social.problems(environment));
        problems
    }
}

#[cfg(test)]
mod tests {
    use kernel::Environment::{Development, Production};

    use super::Config;

    fn problems(secret: Option<&str>, environment: kernel::Environment) -> usize {
        let auth_secret = secret.map(Into::into);
        let config = Config { auth_secret, ..Config::default() };
        config.problems(environment).len()
    }

    #[test]
    fn a_guessable_secret_is_refused_everywhere_and_a_missing_one_outside_development() {
        assert_eq!(problems(None, Development), 0);
        assert_eq!(problems(None, Production), 1);
        for secret in
            ["", "short", &"a".repeat(64), "01234567890123456789012345678901"[..31].into()]
        {
            assert_eq!(problems(Some(secret), Development), 1, "{secret:?}");
        }
        let random = "4vX0yPq1cJ8sQv5oE2mTtJc3dZkq9w7RkS0nU6bYhLw=";
        assert_eq!(problems(Some(random), Production), 0);
    }
}
