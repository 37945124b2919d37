use chrono::TimeDelta;
use kernel::NanoUsd;

/// How long calls are kept, and when their cost is out of the ordinary.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Months for which every AI call is kept one by one. What they add up to is kept for good.
    #[arg(long, env, default_value_t = 13, value_parser = clap::value_parser!(u32).range(2..))]
    pub usage_retention_months: u32,

    /// By how many percent what a provider charged may differ from what was recorded.
    #[arg(long, env, default_value_t = 1)]
    pub usage_drift_percent: u32,

    /// What a thousand active users may cost a month at AI providers, in dollars.
    #[arg(long, env, default_value_t = 150)]
    pub usage_target_per_1000_users_usd: u32,
}

impl Config {
    /// What a thousand active users may cost in a span, of a month of 30 days.
    pub fn target(&self, span: TimeDelta) -> NanoUsd {
        let month = NanoUsd::from_dollars(i64::from(self.usage_target_per_1000_users_usd));
        let part = i128::from(month.0) * i128::from(span.num_seconds()) / (30 * 86_400);
        NanoUsd(i64::try_from(part).unwrap_or(i64::MAX))
    }
}
