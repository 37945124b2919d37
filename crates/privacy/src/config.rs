use chrono::TimeDelta;

/// How long copies of somebody's data can be had, and how long an end can be called off.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Days for which a copy of somebody's data can be downloaded.
    #[arg(long, env, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=30))]
    pub privacy_export_days: u16,

    /// Days for which the deletion of an account or an organization can be called off. The law gives a month for all of it.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=30))]
    pub privacy_grace_days: u16,
}

impl Config {
    pub(crate) fn grace(&self) -> TimeDelta {
        TimeDelta::days(self.privacy_grace_days.into())
    }

    pub(crate) fn exports_last(&self) -> TimeDelta {
        TimeDelta::days(self.privacy_export_days.into())
    }
}
