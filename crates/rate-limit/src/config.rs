use std::time::Duration;

use kernel::Environment;
use secrecy::{ExposeSecret, SecretString};

/// Whether limits apply, and where traffic is counted.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Whether rate limits are enforced. `observe` counts traffic and tells callers where they
    /// stand, but refuses nobody for it: to try limits out. `off` is for tests and refused in
    /// production.
    #[arg(long, env, value_enum, default_value_t = Switch::On)]
    pub rate_limits: Switch,

    /// Where all instances count traffic together: a Redis or Valkey, as in
    /// `rediss://user:password@host:6379`. Unset, or while it does not answer, each instance gives
    /// away its share of every limit.
    #[arg(long, env, hide_env_values = true)]
    pub redis_url: Option<SecretString>,

    /// Milliseconds a request waits for Redis before it is counted by this instance alone.
    #[arg(long, env, default_value_t = 50)]
    pub redis_timeout_ms: u64,
}

/// What becomes of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Enforced.
    On,
    /// Enforced for attempts at secrets; traffic is only counted.
    Observe,
    /// Ignored.
    Off,
}

impl Config {
    /// What is wrong with the settings, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = vec![];
        if environment.is_production() && !self.is_on() {
            problems.push("RATE_LIMITS=off would let anybody guess passwords in production".into());
        }
        if let Some(Err(error)) = self.redis() {
            problems.push(format!("REDIS_URL: {error}"));
        }
        problems
    }

    pub(crate) fn redis(&self) -> Option<redis::RedisResult<redis::Client>> {
        self.redis_url.as_ref().map(|url| redis::Client::open(url.expose_secret()))
    }

    pub(crate) fn redis_timeout(&self) -> Duration {
        Duration::from_millis(self.redis_timeout_ms)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.rate_limits != Switch::Off
    }
}

#[cfg(test)]
mod tests {
    use kernel::Environment::{Development, Production};

    use super::{Config, Switch};

    #[test]
    fn production_refuses_to_run_without_limits() {
        let config = |rate_limits| Config { rate_limits, redis_url: None, redis_timeout_ms: 50 };
        let off = config(Switch::Off);
        assert_eq!(off.problems(Production).len(), 1);
        assert!(off.problems(Development).is_empty());
        let on = config(Switch::On);
        assert!(on.problems(Production).is_empty());
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_showing_it() {
        let redis_url = Some("not-redis://user:hunter2@host".into());
        let config = Config { rate_limits: Switch::On, redis_url, redis_timeout_ms: 50 };
        let problems = config.problems(Development);
        assert_eq!(problems.len(), 1);
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}
