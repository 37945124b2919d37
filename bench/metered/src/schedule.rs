//! When requests are due, and which of them count.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

const WARM_UP: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection sends its next request when its last was answered.
    Closed,
    /// Requests are due at this rate, and latency counts from when a request was due: a server that
    /// stalls delays all that were due meanwhile, and that shows.
    Open { per_second: f64 },
}

#[derive(Clone)]
pub(crate) struct Schedule {
    start: Instant,
    /// What is measured lies between these.
    pub(crate) from: Instant,
    pub(crate) until: Instant,
    interval: Option<Duration>,
    due: Arc<Semaphore>,
    next: Arc<AtomicU64>,
}

impl Schedule {
    /// Begins now; `time` is measured, after a warm-up.
    pub(crate) fn begin(pace: Pace, time: Duration) -> Self {
        let interval = match pace {
            Pace::Closed => None,
            Pace::Open { per_second } => Some(Duration::from_secs_f64(1.0 / per_second)),
        };
        let start = Instant::now();
        let (from, until) = (start + WARM_UP, start + WARM_UP + time);
        let (due, next) = (Arc::new(Semaphore::new(0)), Arc::default());
        let schedule = Self { start, from, until, interval, due, next };
        // A thread of its own: the runtime's timers are only exact to a millisecond.
        let pacing = schedule.clone();
        thread::spawn(move || pacing.make_due());
        schedule
    }

    fn make_due(&self) {
        let mut number = 0;
        while let Some(due) = self.due_at(number) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.due.add_permits(1);
            number += 1;
        }
    }

    /// `None`: the load is over by then, or keeps no schedule.
    fn due_at(&self, number: u64) -> Option<Instant> {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let due = self.start + self.interval?.mul_f64(number as f64);
        (due < self.until).then_some(due)
    }

    /// Waits for the next request to be due; answers when it was. `None`: there is no more.
    pub(crate) async fn next(&self) -> Option<Instant> {
        if self.interval.is_none() {
            return Some(Instant::now()).filter(|now| *now < self.until);
        }
        let due = self.due_at(self.next.fetch_add(1, Relaxed))?;
        self.due.acquire().await.ok()?.forget();
        Some(due)
    }

    /// Whether a request that was `due` and is `done` belongs to what is measured: a closed loop
    /// counts what was answered in time, an open one what was due in time.
    pub(crate) fn counts(&self, due: Instant, done: Instant) -> bool {
        let at = if self.interval.is_some() { due } else { done };
        self.from <= at && at < self.until
    }
}
