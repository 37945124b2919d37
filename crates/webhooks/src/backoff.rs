use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, header};
use rand::RngExt;

const FIRST: TimeDelta = TimeDelta::seconds(5);
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// How long an event waits after its `attempts`-th attempt failed: five times as long each time.
pub(crate) fn after_attempt(attempts: i32) -> TimeDelta {
    exponential(5, attempts - 1, LONGEST)
}

/// How long an endpoint is left alone after so many failures in a row, whatever was sent.
pub(crate) fn after_failures(failures: i32) -> TimeDelta {
    exponential(2, failures - PATIENCE, TimeDelta::hours(1))
}

/// So many failures in a row are an endpoint's own, not an event's.
pub(crate) const PATIENCE: i32 = 3;

/// Up to a fifth longer: what failed together shall not return together.
pub(crate) fn jittered(pause: TimeDelta) -> TimeDelta {
    let most = pause.num_milliseconds() / 5;
    pause + TimeDelta::milliseconds(rand::rng().random_range(0..=most.max(0)))
}

/// How long the receiver wants to be left alone, if it says so, and no longer than anything waits.
pub(crate) fn asked_for(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match value.parse::<u32>() {
        Ok(seconds) => TimeDelta::seconds(i64::from(seconds)),
        Err(_) => DateTime::parse_from_rfc2822(value).ok()?.with_timezone(&Utc) - now,
    };
    Some(pause.clamp(TimeDelta::zero(), LONGEST))
}

fn exponential(factor: i64, exponent: i32, longest: TimeDelta) -> TimeDelta {
    let times = factor.saturating_pow(u32::try_from(exponent).unwrap_or_default());
    let seconds = FIRST.num_seconds().saturating_mul(times);
    TimeDelta::try_seconds(seconds).unwrap_or(longest).min(longest)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use http::{HeaderMap, HeaderValue, header};

    use super::{after_attempt, after_failures, asked_for, jittered};

    #[test]
    fn ten_attempts_take_three_days_and_many_more_do_not_overflow() {
        let seconds: Vec<_> = (1..10).map(|it| after_attempt(it).num_seconds()).collect();
        assert_eq!(seconds, [5, 25, 125, 625, 3125, 15_625, 78_125, 86_400, 86_400]);
        let all = TimeDelta::seconds(seconds.iter().sum());
        assert!((TimeDelta::days(3)..TimeDelta::days(4)).contains(&all), "{all}");
        assert_eq!(after_attempt(i32::MAX), TimeDelta::hours(24));
    }

    #[test]
    fn a_dead_endpoint_is_probed_at_least_every_hour() {
        assert_eq!(after_failures(3), TimeDelta::seconds(5));
        assert_eq!(after_failures(5), TimeDelta::seconds(20));
        assert_eq!(after_failures(1000), TimeDelta::hours(1));
    }

    #[test]
    fn jitter_lengthens_by_a_fifth_at_most_and_not_always_alike() {
        let pause = TimeDelta::seconds(100);
        let drawn: Vec<_> = (0..100).map(|_| jittered(pause)).collect();
        assert!(drawn.iter().all(|it| (pause..=pause * 6 / 5).contains(it)), "{drawn:?}");
        assert!(drawn.iter().any(|it| *it != drawn[0]));
    }

    #[test]
    fn the_receivers_wish_is_understood_in_both_forms_and_bounded() {
        let now: DateTime<Utc> = "2026-11-28T12:00:00Z".parse().unwrap();
        for (wish, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sat, 28 Nov 2026 12:01:00 GMT", Some(60)),
            ("Sat, 28 Nov 2026 11:00:00 GMT", Some(0)),
            ("999999999", Some(86_400)),
            ("99999999999999999999", None),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            let value = HeaderValue::from_static(wish);
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value)]);
            let asked = asked_for(&headers, now).map(|it| it.num_seconds());
            assert_eq!(asked, seconds, "{wish}");
        }
    }
}
