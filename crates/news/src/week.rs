use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};

/// A week from Monday to Sunday, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Week {
    pub(crate) monday: NaiveDate,
}

impl Week {
    /// The last one that is over.
    pub(crate) fn before(now: DateTime<Utc>) -> Self {
        let today = now.date_naive();
        let monday = today - Days::new(today.weekday().num_days_from_monday().into());
        Self { monday: monday - Days::new(7) }
    }

    pub(crate) fn start(self) -> DateTime<Utc> {
        self.monday.and_time(NaiveTime::MIN).and_utc()
    }

    pub(crate) fn end(self) -> DateTime<Utc> {
        self.start() + Days::new(7)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Days, NaiveDate, Utc};

    use super::Week;

    #[test]
    fn the_week_before_is_the_same_from_monday_to_sunday_and_across_years() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for now in ["2027-01-04T00:00:00Z", "2027-01-04T09:00:00Z", "2027-01-10T23:59:59Z"] {
            assert_eq!(Week::before(at(now)).monday, day("2026-12-28"), "{now}");
        }
        assert_eq!(Week::before(at("2027-01-03T23:59:59Z")).monday, day("2026-12-21"));
        let week = Week::before(at("2027-01-04T09:00:00Z"));
        assert_eq!(week.end(), at("2027-01-04T00:00:00Z"));
        assert_eq!(week.start() + Days::new(7), week.end());
    }
}
