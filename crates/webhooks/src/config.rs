use std::time::Duration;

use chrono::TimeDelta;

/// How customers' programs are told what happens.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Webhook endpoints that an org may have.
    #[arg(long, env, default_value_t = 10)]
    pub webhooks_max_endpoints: u32,

    /// How often an event is sent to an endpoint that does not take it; 10 attempts take three days.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(i32).range(3..=20))]
    pub webhooks_max_attempts: i32,

    /// Seconds within which an endpoint must answer.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub webhooks_timeout_seconds: u64,

    /// Events that are sent to one endpoint at the same time.
    #[arg(long, env, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub webhooks_concurrency: u16,

    /// Days of nothing but failure after which an endpoint is disabled.
    #[arg(long, env, default_value_t = 3, value_parser = clap::value_parser!(i64).range(1..=30))]
    pub webhooks_disable_after_days: i64,

    /// Days for which events and attempts are kept, also for endpoints that are disabled.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=365))]
    pub webhooks_retention_days: i64,
}

impl Config {
    /// How many attempts one endpoint sees at the same time.
    pub(crate) fn width(&self) -> usize {
        self.webhooks_concurrency.into()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.webhooks_timeout_seconds)
    }

    /// When an attempt that nobody ended is over: its process died.
    pub(crate) fn attempt_lease(&self) -> TimeDelta {
        TimeDelta::seconds(60) + TimeDelta::from_std(self.timeout()).unwrap_or_default()
    }

    /// What must be left of a lane when an attempt begins, so that it ends before the lane does.
    pub(crate) fn claim_lease(&self) -> TimeDelta {
        self.attempt_lease() - TimeDelta::seconds(30)
    }

    pub(crate) fn disable_after(&self) -> TimeDelta {
        TimeDelta::days(self.webhooks_disable_after_days)
    }

    pub(crate) fn retention(&self) -> TimeDelta {
        TimeDelta::days(self.webhooks_retention_days)
    }
}
