use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a budget lasts before it begins anew. Periods are half-open and in UTC.
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
    /// When the period that contains `now` began.
    pub fn start(self, now: DateTime<Utc>) -> DateTime<Utc> {
        midnight(self.first_day(now.date_naive()))
    }

    /// When the period that contains `now` ends and the next begins; a lifetime never does.
    pub fn end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = self.first_day(now.date_naive());
        match self {
            Self::Day => first.checked_add_days(Days::new(1)).map(midnight),
            Self::Month => first.checked_add_months(Months::new(1)).map(midnight),
            Self::Lifetime => None,
        }
    }

    fn first_day(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
            Self::Lifetime => NaiveDate::default(),
        }
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::Period;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_moment_of_a_month_belongs_to_it_and_the_next_begins_at_midnight() {
        let last = at("2028-02-29T23:59:59.999999Z");
        assert_eq!(Period::Month.start(last), at("2028-02-01T00:00:00Z"));
        assert_eq!(Period::Month.end(last), Some(at("2028-03-01T00:00:00Z")));
        assert_eq!(Period::Day.end(last), Some(at("2028-03-01T00:00:00Z")));
        assert_eq!(Period::Lifetime.end(last), None);
    }

    proptest! {
        #[test]
        fn every_moment_is_in_exactly_one_period(seconds in 0_i64..4_000_000_000) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            for period in [Period::Day, Period::Month] {
                let (start, end) = (period.start(now), period.end(now).unwrap());
                prop_assert!(start <= now && now < end);
                prop_assert_eq!(period.start(end), end);
            }
        }
    }
}
