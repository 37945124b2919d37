use std::time::Duration;

/// How much may wait, and how much of it one org may have done at a time.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Jobs of one org that may wait; more are refused with 429.
    #[arg(long, env, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..))]
    pub org_jobs_waiting: i64,

    /// Jobs of all orgs that may wait; more are refused with 503.
    #[arg(long, env, default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(1..))]
    pub org_jobs_waiting_in_all: i64,

    /// Jobs of one org that run at the same time, on all machines together.
    #[arg(long, env, default_value_t = 2, value_parser = clap::value_parser!(i64).range(1..))]
    pub org_jobs_running: i64,

    /// Seconds after which a job makes room for others, with the items that it has not begun.
    #[arg(long, env, default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub org_jobs_turn_seconds: u64,

    /// People who follow jobs by events at the same time, in each process; more are refused with 503.
    #[arg(long, env, default_value_t = 500)]
    pub org_jobs_followers: u16,

    /// Seconds that a stream of events lasts, shorter than a shutdown waits; readers come back with `Last-Event-ID`. One in
    /// which nothing changes gives a sign of life after two fifths of them.
    #[arg(long, env, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub org_jobs_stream_seconds: u64,
}

impl Config {
    pub(crate) fn stream(&self) -> Duration {
        Duration::from_secs(self.org_jobs_stream_seconds)
    }
}
