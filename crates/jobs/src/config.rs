use std::time::Duration;

use graphile_worker::{
    LocalQueueConfig, RefetchDelayConfig, WorkerOptions, WorkerRecoveryConfig, WorkerShutdownConfig,
};

use crate::registry::Lane;

/// How a process works through the queue.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Jobs each process runs at the same time.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs_concurrency: u16,

    /// Jobs that may take minutes which each process runs at the same time, besides the others.
    #[arg(long, env, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs_slow_concurrency: u16,

    /// Milliseconds between looks at the queue, for jobs whose time has come; new jobs are noticed at once.
    #[arg(long, env, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..))]
    pub jobs_poll_interval_ms: u64,

    /// Seconds of silence after which a process counts as dead. Its jobs run again within twice this time.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs_rescue_after_seconds: u64,

    /// Seconds that running jobs may take to finish at shutdown; then they are given back to the queue.
    #[arg(long, env, default_value_t = 20)]
    pub jobs_grace_seconds: u64,
}

/// How long a job that was fetched ahead may wait for this process before others get a chance.
const FETCHED_AHEAD: Duration = Duration::from_secs(5);

/// How long the library waits for more that it may remove in one statement.
const COMPLETION_BATCH: Duration = Duration::from_millis(1);

impl Config {
    /// How long a running job may go on after its worker was told to stop.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.jobs_grace_seconds)
    }

    pub(crate) fn apply(&self, options: WorkerOptions, lane: Lane) -> WorkerOptions {
        // Quick ones are fetched ahead; a slow one would only keep others from running it.
        let (concurrency, ahead) = match lane {
            Lane::Quick => (usize::from(self.jobs_concurrency), 4),
            Lane::Slow => (usize::from(self.jobs_slow_concurrency), 1),
        };
        let dead_after = Duration::from_secs(self.jobs_rescue_after_seconds);
        let poll_interval = Duration::from_millis(self.jobs_poll_interval_ms);
        // The library wakes itself after every fetch, so without a delay an idle worker never
        // sleeps. The first notification of a new job ends the delay.
        let idle =
            RefetchDelayConfig::default().with_duration(poll_interval).with_max_abort_threshold(1);
        // Without a queue of its own a backlog is worked off at one job per slot and poll.
        let queue = LocalQueueConfig::default().with_size(concurrency * ahead);
        let queue = queue.with_ttl(FETCHED_AHEAD);
        options
            // By then our own statement has removed the job: this one finds nothing.
            .complete_job_batch_delay(COMPLETION_BATCH)
            .concurrency(concurrency)
            .poll_interval(poll_interval)
            .local_queue(queue.with_refetch_delay(idle))
            .worker_recovery(
                WorkerRecoveryConfig::default()
                    .heartbeat_interval(dead_after / 4)
                    .sweep_interval(dead_after / 2)
                    .sweep_threshold(dead_after),
            )
            .worker_shutdown(
                WorkerShutdownConfig::default()
                    .listen_os_shutdown_signals(false)
                    .grace_period(self.grace())
                    .interrupted_job_retry_delay(Duration::ZERO),
            )
    }
}
