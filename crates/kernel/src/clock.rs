use std::{
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

/// The only source of "now". Tests freeze it.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's time.
    #[default]
    System,
    /// What another clock said, running on by a stop-watch of this process, whatever is done to the machine's time:
    /// the Unix time, in microseconds, at which the stop-watch stood at zero. Clones share it.
    Set(Arc<AtomicI64>),
    /// A time that moves only by [`Clock::advance`]; clones share it.
    Frozen(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// A clock that stands still at `now`.
    pub fn frozen_at(now: DateTime<Utc>) -> Self {
        Self::Frozen(Arc::new(Mutex::new(now)))
    }

    /// A clock on which it is `now`.
    pub fn set_to(now: DateTime<Utc>) -> Self {
        let clock = Self::Set(Arc::default());
        clock.set(now);
        clock
    }

    /// Sets a clock made by [`set_to`](Self::set_to) anew; others stay as they are.
    pub fn set(&self, now: DateTime<Utc>) {
        if let Self::Set(start) = self {
            start.store(now.timestamp_micros() - microseconds(running_for()), Ordering::Relaxed);
        }
    }

    /// The current time, in UTC, to the microsecond that Postgres keeps.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
            Self::System => {
                let now = Utc::now();
                DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
            }
            Self::Set(start) => {
                let now = start.load(Ordering::Relaxed) + microseconds(running_for());
                DateTime::from_timestamp_micros(now).unwrap_or_default()
            }
            Self::Frozen(now) => *guard(now),
        }
    }

    /// Time since some moment in the past, the same for all clocks of a process. Unlike
    /// [`now`](Self::now) it never goes back, whatever is done to the machine's time.
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::System | Self::Set(_) => running_for(),
            Self::Frozen(now) => (*guard(now) - DateTime::UNIX_EPOCH).to_std().unwrap_or_default(),
        }
    }

    /// Moves a frozen clock; the others move by themselves.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Frozen(now) = self {
            *guard(now) += by;
        }
    }
}

/// What the stop-watch of this process shows.
fn running_for() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A panic elsewhere cannot leave a time half-written, so poisoning is ignored.
fn guard(now: &Mutex<DateTime<Utc>>) -> MutexGuard<'_, DateTime<Utc>> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Clock;

    #[test]
    fn a_clock_that_is_set_runs_on_from_there_with_all_its_clones() {
        let noon: DateTime<Utc> = "2026-11-28T12:00:00Z".parse().unwrap();
        let clock = Clock::set_to(noon);
        let other = clock.clone();
        let just_after = |now: DateTime<Utc>| now..now + TimeDelta::minutes(1);
        assert!(just_after(noon).contains(&clock.now()));
        clock.set(noon + TimeDelta::days(1));
        assert!(just_after(noon + TimeDelta::days(1)).contains(&other.now()));
        let earlier = clock.now();
        assert!(other.now() >= earlier, "it goes on");
    }
}
