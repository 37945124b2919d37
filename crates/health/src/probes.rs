use std::{sync::Arc, time::Duration};

use app::Check;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use kernel::Clock;
use tokio::{
    sync::Mutex,
    task::JoinError,
    time::{Instant, timeout},
};

use crate::report::{HealthObservation, HealthReport, HealthStatus};

/// How long a result is told again instead of looking again.
const FRESH: TimeDelta = TimeDelta::seconds(2);

/// Checks that are looked at together, rarely enough that asking often burdens nobody.
#[derive(Debug)]
pub(crate) struct Probes {
    checks: Vec<Check>,
    clock: Clock,
    time_limit: Duration,
    /// Held by whoever is looking, so that all others wait for that result.
    last: Arc<Mutex<Option<Look>>>,
}

#[derive(Debug)]
struct Look {
    at: DateTime<Utc>,
    report: HealthReport,
}

impl Probes {
    pub(crate) fn new(checks: Vec<Check>, clock: Clock, time_limit: Duration) -> Self {
        Self { checks, clock, time_limit, last: Arc::default() }
    }

    /// The newest result, at most [`FRESH`] old.
    pub(crate) async fn report(&self) -> Result<HealthReport, JoinError> {
        let mut last = self.last.clone().lock_owned().await;
        let now = self.clock.now();
        if let Some(Look { at, report }) = last.as_ref()
            && (TimeDelta::zero()..FRESH).contains(&(now - *at))
        {
            return Ok(report.clone());
        }
        let (checks, time_limit) = (self.checks.clone(), self.time_limit);
        // A task of its own: a client that hangs up must not make the next one start over.
        tokio::spawn(async move {
            let observe = |check| observe(check, now, time_limit);
            let report = HealthReport::of(join_all(checks.into_iter().map(observe)).await);
            *last = Some(Look { at: now, report: report.clone() });
            report
        })
        .await
    }
}

async fn observe(
    check: Check,
    time: DateTime<Utc>,
    time_limit: Duration,
) -> (&'static str, HealthObservation) {
    let (name, start) = (check.name, Instant::now());
    let failed = HealthStatus::without(&check);
    // A task of its own: a panic fails this check and no other.
    let result = tokio::spawn(async move { timeout(time_limit, check.run()).await }).await;
    let output = match result {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) => {
            tracing::warn!(check = name, error = format!("{error:#}"), "health check failed");
            Some("failed")
        }
        Ok(Err(_)) => {
            tracing::warn!(check = name, ?time_limit, "health check did not answer in time");
            Some("did not answer in time")
        }
        Err(error) => {
            tracing::error!(check = name, %error, "health check panicked");
            Some("failed")
        }
    };
    let observation = HealthObservation {
        status: output.map_or(HealthStatus::Pass, |_| failed),
        observed_value: start.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        observed_unit: "ms",
        time,
        output,
    };
    (name, observation)
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Duration,
    };

    use app::Check;
    use chrono::{DateTime, TimeDelta};
    use futures::{FutureExt, future::join_all};
    use kernel::Clock;
    use tokio::sync::Semaphore;

    use super::{FRESH, Probes};
    use crate::report::HealthStatus;

    fn clock() -> Clock {
        Clock::frozen_at(DateTime::UNIX_EPOCH)
    }

    /// A check that counts its runs and passes when `gate` lets it.
    fn counted(runs: &Arc<AtomicUsize>, gate: &Arc<Semaphore>) -> Check {
        let (runs, gate) = (runs.clone(), gate.clone());
        Check::critical("counted", move || {
            runs.fetch_add(1, SeqCst);
            let gate = gate.clone();
            async move {
                drop(gate.acquire_owned().await?);
                Ok(())
            }
        })
    }

    #[tokio::test]
    async fn many_who_ask_share_one_look() {
        let (runs, gate) = (Arc::default(), Arc::new(Semaphore::new(1)));
        let probes = Probes::new(vec![counted(&runs, &gate)], clock(), Duration::from_mins(1));
        join_all((0..50).map(|_| probes.report())).await;
        assert_eq!(runs.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn who_hangs_up_does_not_make_the_next_one_start_over() {
        let (runs, gate) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let probes = Probes::new(vec![counted(&runs, &gate)], clock(), Duration::from_mins(1));
        for _ in 0..10 {
            assert!(probes.report().now_or_never().is_none());
        }
        gate.add_permits(1);
        assert_eq!(probes.report().await.unwrap().status, HealthStatus::Pass);
        assert_eq!(runs.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_result_is_told_again_until_it_is_old_or_the_clock_was_set_back() {
        let (runs, gate, clock) = (Arc::default(), Arc::new(Semaphore::new(1)), clock());
        let probes =
            Probes::new(vec![counted(&runs, &gate)], clock.clone(), Duration::from_mins(1));
        let moment = TimeDelta::microseconds(1);
        for (step, expected) in
            [(TimeDelta::zero(), 1), (FRESH - moment, 1), (moment, 2), (-FRESH, 3)]
        {
            clock.advance(step);
            probes.report().await.unwrap();
            assert_eq!(runs.load(SeqCst), expected, "after {step}");
        }
    }

    #[tokio::test]
    async fn a_check_that_hangs_or_panics_fails_alone() {
        let checks = vec![
            Check::critical("fine", async || Ok(())),
            Check::degrading("hangs", pending),
            Check::degrading("panics", async || panic!("a bug")),
        ];
        let report = Probes::new(checks, clock(), Duration::from_secs(2)).report().await.unwrap();
        let outcome = |name| (report.checks[name][0].status, report.checks[name][0].output);
        assert_eq!(outcome("fine"), (HealthStatus::Pass, None));
        assert_eq!(outcome("hangs"), (HealthStatus::Warn, Some("did not answer in time")));
        assert_eq!(outcome("panics"), (HealthStatus::Warn, Some("failed")));
        assert_eq!(report.status, HealthStatus::Warn);
    }
}
