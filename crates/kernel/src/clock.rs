use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

/// The only source of "now". Tests freeze it.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's time.
    #[default]
    System,
    /// A time that moves only by [`Clock::advance`]; clones share it.
    Frozen(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// A clock that stands still at `now`.
    pub fn frozen_at(now: DateTime<Utc>) -> Self {
        Self::Frozen(Arc::new(Mutex::new(now)))
    }

    /// The current time, in UTC, to the microsecond that Postgres keeps.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
            Self::System => {
                let now = Utc::now();
                DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
            }
            Self::Frozen(now) => *guard(now),
        }
    }

    /// Time since some moment in the past, the same for all clocks of a process. Unlike
    /// [`now`](Self::now) it never goes back, whatever is done to the machine's time.
    pub fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self {
            Self::System => START.elapsed(),
            Self::Frozen(now) => (*guard(now) - DateTime::UNIX_EPOCH).to_std().unwrap_or_default(),
        }
    }

    /// Moves a frozen clock; the system clock moves by itself.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Frozen(now) = self {
            *guard(now) += by;
        }
    }
}

/// A panic elsewhere cannot leave a time half-written, so poisoning is ignored.
fn guard(now: &Mutex<DateTime<Utc>>) -> MutexGuard<'_, DateTime<Utc>> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}
