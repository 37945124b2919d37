use kernel::NanoUsd;

/// What the platform as a whole may spend, and how reservations behave.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// US dollars that all AI calls together may cost per day.
    #[arg(long, env, default_value_t = 50)]
    pub ai_budget_per_day_usd: u32,

    /// US dollars that all AI calls together may cost per month.
    #[arg(long, env, default_value_t = 500)]
    pub ai_budget_per_month_usd: u32,

    /// US cents of provider cost that one credit pays for; a dearer call draws more credits.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub credit_covers_usd_cents: u32,

    /// Seconds after which a call that was never settled is given up and its outcome counted as unknown.
    #[arg(long, env, default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..))]
    pub ai_hold_seconds: u32,
}

impl Config {
    /// What one credit pays for.
    pub(crate) fn credit_covers(&self) -> NanoUsd {
        NanoUsd::from_cents(i64::from(self.credit_covers_usd_cents))
    }
}
