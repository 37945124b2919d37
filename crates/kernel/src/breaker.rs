use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// How long it stays open before one call may try.
const REST: Duration = Duration::from_secs(10);

/// A circuit breaker: a service that keeps failing is left alone for a while, so that calls go
/// elsewhere, or are refused, at once.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// While it is open: when the next call may try. That call moves it on, so that until its
    /// outcome is known, or if it has none, no other follows for a while.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made; if not, how long until one may.
    pub fn enter(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match state.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                state.open_until = Some(now + REST);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The service works.
    pub fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The service does not.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_until = Some(now + REST);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Breaker, FAILURES, REST};

    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.enter(now), Ok(()));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_says_for_how_long() {
        let now = Instant::now();
        assert_eq!(open(now).enter(now), Err(REST));
    }

    #[test]
    fn a_success_in_between_keeps_it_closed() {
        let (now, breaker) = (Instant::now(), Breaker::default());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breaker.failed(now);
            }
            breaker.succeeded();
        }
        assert_eq!(breaker.enter(now), Ok(()));
    }

    #[test]
    fn after_its_rest_one_call_tries_and_decides() {
        let now = Instant::now();
        let later = now + REST;
        let breaker = open(now);

        assert_eq!(breaker.enter(later), Ok(()));
        assert_eq!(breaker.enter(later), Err(REST), "the others wait for its outcome");
        breaker.failed(later);
        assert_eq!(breaker.enter(later), Err(REST));

        assert_eq!(breaker.enter(later + REST), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.enter(later + REST), Ok(()));
    }
}
