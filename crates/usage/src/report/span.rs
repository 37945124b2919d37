use chrono::{
    DateTime, Datelike, Days, DurationRound, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone,
    Timelike, Utc,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Result};

/// What roll-ups are counted in: there are time zones whose days begin at a quarter past.
const SLOT: TimeDelta = TimeDelta::minutes(15);
/// A report answers no more buckets than a leap year has hours.
const MOST_BUCKETS: usize = 366 * 24 + 1;

/// How a span is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UsageBucket)]
pub enum Bucket {
    /// By the hour of the clock; an hour that the clock repeats is two.
    Hour,
    /// From midnight to midnight: 23, 24 or 25 hours.
    Day,
    /// From the first to the first.
    Month,
}

/// A span of time, seen from a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// From then, inclusive.
    pub(crate) from: DateTime<Utc>,
    /// Until then, exclusive.
    pub(crate) to: DateTime<Utc>,
    zone: Tz,
}

impl Span {
    /// The quarters of an hour that hold `from` until `to`; from the start of this month, until now,
    /// unless given.
    pub(crate) fn new(
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        zone: Tz,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let plausible = |time: &DateTime<Utc>| (2000..2200).contains(&time.year());
        // A moment later, so that a call which just ended is in it.
        let to = to.unwrap_or(now + TimeDelta::microseconds(1));
        let from = from.unwrap_or_else(|| Bucket::Month.start(now, zone));
        if !plausible(&from) || !plausible(&to) || to <= from {
            return Err(Error::InvalidRange);
        }
        let from = from.duration_trunc(SLOT).map_err(|_| Error::InvalidRange)?;
        let whole = to.duration_trunc(SLOT).map_err(|_| Error::InvalidRange)?;
        let to = if whole < to { whole + SLOT } else { whole };
        let valid = to - from <= TimeDelta::days(366) + SLOT;
        if valid { Ok(Self { from, to, zone }) } else { Err(Error::InvalidRange) }
    }

    /// The span of the same length that ends where this one begins.
    pub(crate) fn previous(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.from - (self.to - self.from), self.from)
    }

    /// Where each bucket begins, and the end of the last. The first and the last may be cut.
    pub(crate) fn bounds(&self, bucket: Option<Bucket>) -> Result<Vec<DateTime<Utc>>> {
        let mut bounds = vec![self.from];
        if let Some(bucket) = bucket {
            let mut next = bucket.end(self.from, self.zone);
            while next < self.to {
                bounds.push(next);
                next = bucket.end(next, self.zone);
                if bounds.len() > MOST_BUCKETS {
                    return Err(Error::InvalidRange);
                }
            }
        }
        bounds.push(self.to);
        Ok(bounds)
    }
}

impl Bucket {
    /// When the bucket that holds `time` began.
    pub(crate) fn start(self, time: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        let local = time.with_timezone(&zone);
        match self {
            Self::Hour => {
                let past = local.time().num_seconds_from_midnight() % 3600;
                time - TimeDelta::seconds(past.into()) - nanoseconds(&time)
            }
            Self::Day => midnight(local.date_naive(), zone),
            Self::Month => midnight(first_of_month(local.date_naive()), zone),
        }
    }

    /// When it ends and the next begins.
    pub(crate) fn end(self, time: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        let day = time.with_timezone(&zone).date_naive();
        match self {
            // Where the clock is moved by half an hour, the hour after that is cut.
            Self::Hour => self.start(time, zone) + TimeDelta::hours(1),
            Self::Day => midnight(day + Days::new(1), zone),
            Self::Month => midnight(first_of_month(day) + Months::new(1), zone),
        }
    }
}

fn nanoseconds(time: &DateTime<Utc>) -> TimeDelta {
    TimeDelta::nanoseconds(i64::from(time.timestamp_subsec_nanos()))
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The first moment of `day`. Where the clock was put forward over midnight the day begins later.
pub(super) fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // A day that was skipped altogether has no moments: it begins where the next does.
    (0..=96)
        .find_map(|quarter| zone.from_local_datetime(&(midnight + SLOT * quarter)).earliest())
        .map_or_else(|| midnight.and_utc(), |first| first.to_utc())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use chrono_tz::{TZ_VARIANTS, Tz};
    use proptest::prelude::*;

    use super::{Bucket, Span};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The lengths of the buckets, in minutes.
    fn lengths(from: &str, to: &str, zone: Tz, bucket: Bucket) -> Vec<i64> {
        let span = Span::new(Some(at(from)), Some(at(to)), zone, at(to)).unwrap();
        let bounds = span.bounds(Some(bucket)).unwrap();
        bounds.windows(2).map(|pair| (pair[1] - pair[0]).num_minutes()).collect()
    }

    #[test]
    fn days_on_which_the_clock_changes_have_23_or_25_hours() {
        let berlin = |from, to| lengths(from, to, Tz::Europe__Berlin, Bucket::Day);
        let spring = berlin("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z");
        assert_eq!(spring, [24 * 60, 23 * 60, 24 * 60]);
        let autumn = berlin("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z");
        assert_eq!(autumn, [24 * 60, 25 * 60, 24 * 60]);
    }

    #[test]
    fn days_begin_at_midnight_where_that_is_a_quarter_past_in_utc() {
        let days = lengths(
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z",
            Tz::Asia__Kathmandu,
            Bucket::Day,
        );
        assert_eq!(days, [18 * 60 + 15, 5 * 60 + 45]);
    }

    #[test]
    fn a_span_is_widened_to_full_quarters_of_an_hour() {
        let (from, to) = (at("2026-06-01T10:07:00Z"), at("2026-06-01T10:31:00Z"));
        let span = Span::new(Some(from), Some(to), Tz::UTC, to).unwrap();
        assert_eq!((span.from, span.to), (at("2026-06-01T10:00:00Z"), at("2026-06-01T10:45:00Z")));
        assert_eq!(span.previous().0, at("2026-06-01T09:15:00Z"));
    }

    #[test]
    fn a_span_that_ends_before_it_begins_or_is_too_long_is_refused() {
        let refused = |from: &str, to: &str| {
            Span::new(Some(at(from)), Some(at(to)), Tz::UTC, at(to)).is_err()
        };
        assert!(refused("2026-06-02T00:00:00Z", "2026-06-01T00:00:00Z"));
        assert!(refused("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z"));
        assert!(refused("2024-06-01T00:00:00Z", "2026-06-01T00:00:00Z"));
        assert!(refused("0001-06-01T00:00:00Z", "0001-07-01T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn buckets_cover_a_span_without_gap_or_overlap_in_every_zone(
            from in 1_000_000_000_i64..4_000_000_000, minutes in 1_i64..100_000,
            zone in 0..TZ_VARIANTS.len(),
        ) {
            let from = DateTime::from_timestamp(from, 0).unwrap();
            let zone = TZ_VARIANTS[zone];
            let to = from + TimeDelta::minutes(minutes);
            let span = Span::new(Some(from), Some(to), zone, to).unwrap();
            for bucket in [Bucket::Hour, Bucket::Day, Bucket::Month] {
                let bounds = span.bounds(Some(bucket)).unwrap();
                prop_assert!(span.from <= from && to <= span.to);
                prop_assert_eq!((bounds[0], bounds[bounds.len() - 1]), (span.from, span.to));
                prop_assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", bounds);
                if bucket == Bucket::Hour {
                    let hour = TimeDelta::hours(1);
                    prop_assert!(bounds.windows(2).all(|pair| pair[1] - pair[0] <= hour));
                    continue;
                }
                for bound in &bounds[1..bounds.len() - 1] {
                    prop_assert_eq!(bucket.start(*bound, zone), *bound);
                    prop_assert!(bucket.start(*bound - TimeDelta::microseconds(1), zone) < *bound);
                }
            }
        }
    }
}
