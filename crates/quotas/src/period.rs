use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a budget lasts before it begins anew. Periods are half-open, from midnight to midnight in
/// the org's time zone; the platform's are in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of the month to the next.
    Month,
    /// For ever.
    Lifetime,
}

impl Period {
    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Lifetime => "lifetime",
        }
    }

    /// When the period that contains `now` began.
    pub fn start(self, now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::Lifetime => DateTime::UNIX_EPOCH,
            _ => midnight(self.first_day(local_day(now, zone)), zone),
        }
    }

    /// When the period that contains `now` ends and the next begins; a lifetime never does.
    pub fn end(self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let first = self.first_day(local_day(now, zone));
        let next = match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Lifetime => None,
        };
        next.map(|day| midnight(day, zone))
    }

    /// The least that lies between two beginnings. An org that moves its time zone about would else
    /// begin a new day every hour.
    pub(crate) fn least_length(self) -> TimeDelta {
        match self {
            Self::Day => TimeDelta::hours(20),
            Self::Month => TimeDelta::days(27),
            Self::Lifetime => TimeDelta::MAX,
        }
    }

    fn first_day(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Month => day.with_day(1).unwrap_or(day),
            Self::Day | Self::Lifetime => day,
        }
    }
}

fn local_day(now: DateTime<Utc>, zone: Tz) -> NaiveDate {
    now.with_timezone(&zone).date_naive()
}

/// The first moment of `day` in `zone`. Where the clock was put forward over midnight the day begins
/// later; where it was put back over midnight, at the first of the two.
fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    (0..=96)
        .find_map(|quarter| {
            let local = midnight.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
            zone.from_local_datetime(&local).earliest()
        })
        .map_or_else(|| midnight.and_utc(), |first| first.to_utc())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use chrono_tz::{TZ_VARIANTS, Tz};
    use proptest::prelude::*;

    use super::Period;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_moment_of_a_month_belongs_to_it_and_the_next_begins_at_midnight() {
        let last = at("2028-02-29T23:59:59.999999Z");
        assert_eq!(Period::Month.start(last, Tz::UTC), at("2028-02-01T00:00:00Z"));
        assert_eq!(Period::Month.end(last, Tz::UTC), Some(at("2028-03-01T00:00:00Z")));
        assert_eq!(Period::Day.end(last, Tz::UTC), Some(at("2028-03-01T00:00:00Z")));
        assert_eq!(Period::Lifetime.end(last, Tz::UTC), None);
    }

    #[test]
    fn days_on_which_the_clock_changes_are_shorter_longer_or_begin_late() {
        let berlin = Tz::Europe__Berlin;
        let length = |now: &str, zone: Tz| {
            let (start, now) = (Period::Day.start(at(now), zone), at(now));
            (start, (Period::Day.end(now, zone).unwrap() - start).num_hours())
        };
        assert_eq!(length("2026-03-29T12:00:00Z", berlin), (at("2026-03-28T23:00:00Z"), 23));
        assert_eq!(length("2026-10-25T12:00:00Z", berlin), (at("2026-10-24T22:00:00Z"), 25));
        // In Havana the clock goes from midnight to one: the day begins at one, 23 hours long.
        let havana = length("2026-03-08T12:00:00Z", Tz::America__Havana);
        assert_eq!(havana, (at("2026-03-08T05:00:00Z"), 23));
        // And in autumn from one back to midnight: it begins at the first of the two.
        let havana = length("2026-11-01T12:00:00Z", Tz::America__Havana);
        assert_eq!(havana, (at("2026-11-01T04:00:00Z"), 25));
    }

    proptest! {
        #[test]
        fn every_moment_is_in_exactly_one_period_in_every_zone(
            seconds in 0_i64..4_000_000_000, zone in 0..TZ_VARIANTS.len(),
        ) {
            let (now, zone) = (DateTime::from_timestamp(seconds, 0).unwrap(), TZ_VARIANTS[zone]);
            for period in [Period::Day, Period::Month] {
                let (start, end) = (period.start(now, zone), period.end(now, zone).unwrap());
                prop_assert!(start <= now && now < end, "{start} {now} {end}");
                prop_assert_eq!(period.start(end, zone), end);
                prop_assert_eq!(period.start(end - TimeDelta::seconds(1), zone), start);
                prop_assert!(end - start >= period.least_length());
            }
        }
    }
}
