use chrono::TimeDelta;

/// How long sessions last.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Days after which a session that is not used ends.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub session_idle_days: u16,

    /// Days after which any session ends.
    #[arg(long, env, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub session_max_days: u16,

    /// Minutes after signing in during which sensitive changes need no new proof of who you are.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub reauthentication_minutes: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { session_idle_days: 30, session_max_days: 90, reauthentication_minutes: 10 }
    }
}

impl Config {
    pub(crate) fn idle(&self) -> TimeDelta {
        TimeDelta::days(self.session_idle_days.into())
    }

    pub(crate) fn longest(&self) -> TimeDelta {
        TimeDelta::days(self.session_max_days.into())
    }

    pub(crate) fn recent(&self) -> TimeDelta {
        TimeDelta::minutes(self.reauthentication_minutes.into())
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let ordered = self.session_idle_days <= self.session_max_days;
        (!ordered).then(|| "SESSION_IDLE_DAYS is more than SESSION_MAX_DAYS".to_owned())
    }
}
