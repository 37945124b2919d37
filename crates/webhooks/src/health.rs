use chrono::{DateTime, TimeDelta, Utc};

use crate::backoff::{self, PATIENCE};

/// So many failures in a row, over so long, are worth a mail.
const WARN_AFTER_FAILURES: i32 = 5;
const WARN_AFTER: TimeDelta = TimeDelta::hours(1);
/// An answer that takes longer makes an endpoint a slow one.
const SLOW: TimeDelta = TimeDelta::seconds(2);

/// How an endpoint does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// In a row.
    pub(crate) failures: i32,
    pub(crate) failing_since: Option<DateTime<Utc>>,
    /// When its people were told.
    pub(crate) warned_at: Option<DateTime<Utc>>,
    pub(crate) paused_until: Option<DateTime<Utc>>,
    pub(crate) slow: bool,
}

impl Health {
    /// After an answer that was as it should be.
    pub(crate) fn succeeded(took: TimeDelta) -> Self {
        Self { slow: took > SLOW, ..Self::default() }
    }

    /// After anything else. `asked_for` is how long the endpoint wants to be left alone.
    pub(crate) fn failed(
        &self,
        took: TimeDelta,
        asked_for: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> Self {
        let failures = self.failures.saturating_add(1);
        let dead = failures >= PATIENCE;
        let pause = dead.then(|| backoff::jittered(backoff::after_failures(failures)));
        let pause = pause.max(asked_for);
        Self {
            failures,
            failing_since: self.failing_since.or(Some(now)),
            warned_at: self.warned_at,
            paused_until: pause.map(|it| now + it).max(self.paused_until),
            slow: took > SLOW,
        }
    }

    /// Whether it is only asked whether it lives again.
    pub(crate) fn is_dead(&self) -> bool {
        self.failures >= PATIENCE
    }

    /// Whether its people should be told, and were not.
    pub(crate) fn is_worth_a_warning(&self, now: DateTime<Utc>) -> bool {
        self.warned_at.is_none()
            && self.failures >= WARN_AFTER_FAILURES
            && self.failing_since.is_some_and(|since| since + WARN_AFTER <= now)
    }

    /// Whether it has failed for so long that it is given up.
    pub(crate) fn is_hopeless(&self, after: TimeDelta, now: DateTime<Utc>) -> bool {
        self.failures >= WARN_AFTER_FAILURES
            && self.failing_since.is_some_and(|since| since + after <= now)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Health;

    const QUICK: TimeDelta = TimeDelta::milliseconds(10);
    const DAYS: TimeDelta = TimeDelta::days(3);

    fn now() -> DateTime<Utc> {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    fn failed_times(times: i32) -> Health {
        (0..times).fold(Health::default(), |health, _| health.failed(QUICK, None, now()))
    }

    #[test]
    fn a_failure_or_two_may_be_the_events_and_pause_nobody_else() {
        assert_eq!(failed_times(2).paused_until, None);
        assert!(failed_times(3).paused_until.unwrap() > now());
        assert!(failed_times(3).is_dead());
    }

    #[test]
    fn the_receivers_wish_pauses_it_at_once_and_is_never_shortened() {
        let wish = Health::default().failed(QUICK, Some(TimeDelta::hours(2)), now());
        assert_eq!(wish.paused_until, Some(now() + TimeDelta::hours(2)));
        let again = wish.failed(QUICK, None, now());
        assert_eq!(again.paused_until, wish.paused_until);
    }

    #[test]
    fn many_failures_at_once_are_no_reason_to_warn_or_to_disable() {
        let health = failed_times(100);
        assert!(!health.is_worth_a_warning(now()));
        assert!(health.is_worth_a_warning(now() + TimeDelta::hours(1)));
        assert!(!health.is_hopeless(DAYS, now() + DAYS - TimeDelta::seconds(1)));
        assert!(health.is_hopeless(DAYS, now() + DAYS));
        assert!(!failed_times(4).is_hopeless(DAYS, now() + DAYS), "too few to be sure");
    }

    #[test]
    fn it_is_warned_of_once_until_it_works_again() {
        let warned = Health { warned_at: Some(now()), ..failed_times(9) };
        let later = now() + TimeDelta::days(1);
        assert!(!warned.failed(QUICK, None, later).is_worth_a_warning(later));
        assert_eq!(Health::succeeded(QUICK), Health::default());
    }

    #[test]
    fn whoever_takes_long_is_slow_until_he_does_not() {
        assert!(Health::default().failed(TimeDelta::seconds(30), None, now()).slow);
        assert!(Health::succeeded(TimeDelta::seconds(3)).slow);
        assert!(!Health::succeeded(TimeDelta::seconds(1)).slow);
    }
}
