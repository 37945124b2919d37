use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::span::midnight;

/// A time, or a day, which means the midnight it begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Moment {
    /// Everywhere the same.
    Time(DateTime<Utc>),
    /// Begins where the report's days begin.
    Day(NaiveDate),
}

impl Moment {
    pub(super) fn at(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::Time(time) => time,
            Self::Day(day) => midnight(day, zone),
        }
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        // In a query a plus sign that is not written as %2B is a space.
        let time = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
        time.map(|time| Self::Time(time.to_utc())).map_err(|_| {
            format!("{text:?} is neither a day such as 2026-11-01 nor a time such as 2026-11-01T09:30:00Z")
        })
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::Moment;

    fn at(text: &str, zone: Tz) -> String {
        text.parse::<Moment>().unwrap().at(zone).to_rfc3339()
    }

    #[test]
    fn a_day_begins_at_midnight_where_the_report_is_for_and_a_time_is_the_same_everywhere() {
        assert_eq!(at("2026-11-01", Tz::UTC), "2026-11-01T00:00:00+00:00");
        assert_eq!(at("2026-07-01", Tz::Asia__Kolkata), "2026-06-30T18:30:00+00:00");
        assert_eq!(at("2026-11-01T12:00:00+02:00", Tz::Asia__Kolkata), "2026-11-01T10:00:00+00:00");
        assert_eq!(at("2026-11-01T12:00:00 02:00", Tz::UTC), "2026-11-01T10:00:00+00:00");
    }

    #[test]
    fn what_is_neither_is_refused_with_an_example() {
        for text in ["", "yesterday", "2026-13-01", "2026-11-01T25:00:00Z", "1764201600"] {
            assert!(text.parse::<Moment>().unwrap_err().contains("2026-11-01T09:30:00Z"), "{text}");
        }
    }
}
