use chrono::{DateTime, Months, Utc};

use crate::{Interval, Subscription};

/// A month of a paid period: plans give credits for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Month {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
}

/// What is paid at once: a month or a year.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
    pub(crate) interval: Interval,
}

impl Period {
    pub(crate) fn contains(&self, time: DateTime<Utc>) -> bool {
        (self.start..self.end).contains(&time)
    }
}

impl Subscription {
    /// The one that runs.
    pub(crate) fn period(&self) -> Period {
        let (start, end) = (self.current_period_start, self.current_period_end);
        Period { start, end, interval: self.interval }
    }
}

impl Month {
    /// The one of a period that `now` is in; before the period its first, after it its
    /// last. Counted from the start of the period, so that months from the 31st on keep their day.
    pub(crate) fn of(period: Period, now: DateTime<Utc>) -> Self {
        let Period { start, end, interval } = period;
        if interval == Interval::Month {
            return Self { start, end };
        }
        let after = |months| start.checked_add_months(Months::new(months)).unwrap_or(end).min(end);
        let begun = (1..12).take_while(|months| after(*months) <= now && after(*months) < end);
        let months = begun.last().unwrap_or(0);
        Self { start: after(months), end: after(months + 1) }
    }

    /// Every one of a period that has begun; of one that is a month just that.
    pub(crate) fn begun(period: Period, now: DateTime<Utc>) -> Vec<Self> {
        let last = Self::of(period, now);
        let mut months = vec![Self::of(period, period.start)];
        while let Some(month) = months.last().filter(|month| month.start < last.start) {
            months.push(Self::of(period, month.end));
        }
        months
    }

    /// Until when its credits can be spent that are given at `now`: until it ends; if it is over, for as long as
    /// it was.
    pub(crate) fn spendable_until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if now < self.end { self.end } else { now + (self.end - self.start) }
    }

    /// The part of `amount` that the rest of the month is worth.
    pub(crate) fn rest_of(&self, amount: i64, now: DateTime<Utc>) -> i64 {
        let seconds = |from: DateTime<Utc>| i128::from((self.end - from).num_seconds().max(0));
        let (left, all) = (seconds(now.max(self.start)), seconds(self.start).max(1));
        i64::try_from(i128::from(amount) * left / all).unwrap_or(amount)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{Month, Period};
    use crate::Interval;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    fn year(start: &str, end: &str) -> Period {
        Period { start: at(start), end: at(end), interval: Interval::Year }
    }

    fn month(period: Period, now: &str) -> (String, String) {
        let month = Month::of(period, at(now));
        let day = |time: DateTime<Utc>| time.format("%m-%dT%H").to_string();
        (day(month.start), day(month.end))
    }

    fn pair(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn a_year_has_twelve_months_without_gap_or_overlap() {
        for (start, end) in [
            ("2026-01-31T10:00:00Z", "2027-01-31T10:00:00Z"),
            ("2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"),
            ("2027-12-15T23:59:59Z", "2028-12-15T23:59:59Z"),
        ] {
            let year = year(start, end);
            let mut now = at(start);
            for _ in 0..12 {
                let month = Month::of(year, now);
                assert_eq!(month.start, now, "{start}");
                assert_eq!(Month::of(year, month.end - chrono::TimeDelta::seconds(1)), month);
                now = month.end;
            }
            assert_eq!(now, at(end), "{start}");
        }
    }

    #[test]
    fn months_from_the_31st_on_keep_their_day() {
        let year = year("2026-01-31T10:00:00Z", "2027-01-31T10:00:00Z");
        assert_eq!(month(year, "2026-02-10T00:00:00Z"), pair("01-31T10", "02-28T10"));
        assert_eq!(month(year, "2026-03-01T00:00:00Z"), pair("02-28T10", "03-31T10"));
        assert_eq!(month(year, "2026-03-31T10:00:00Z"), pair("03-31T10", "04-30T10"));
    }

    #[test]
    fn before_the_period_it_is_its_first_month_and_after_it_its_last() {
        let year = year("2026-01-15T00:00:00Z", "2027-01-15T00:00:00Z");
        assert_eq!(month(year, "2025-06-01T00:00:00Z"), pair("01-15T00", "02-15T00"));
        assert_eq!(month(year, "2027-06-01T00:00:00Z"), pair("12-15T00", "01-15T00"));
    }

    #[test]
    fn every_month_that_has_begun_is_counted_once() {
        let year = year("2026-01-31T10:00:00Z", "2027-01-31T10:00:00Z");
        let begun = |now| Month::begun(year, at(now)).len();
        assert_eq!((begun("2026-01-31T10:00:00Z"), begun("2026-02-28T09:59:59Z")), (1, 1));
        assert_eq!((begun("2026-02-28T10:00:00Z"), begun("2026-05-01T00:00:00Z")), (2, 4));
        assert_eq!((begun("2025-01-01T00:00:00Z"), begun("2028-01-01T00:00:00Z")), (1, 12));
    }

    #[test]
    fn credits_that_come_too_late_last_as_long_as_they_would_have() {
        let month = Month { start: at("2026-04-01T00:00:00Z"), end: at("2026-05-01T00:00:00Z") };
        assert_eq!(month.spendable_until(at("2026-04-30T23:59:59Z")), month.end);
        assert_eq!(month.spendable_until(at("2026-06-01T00:00:00Z")), at("2026-07-01T00:00:00Z"));
    }

    #[test]
    fn the_rest_of_a_month_is_worth_its_share_and_never_more() {
        let month = Month { start: at("2026-04-01T00:00:00Z"), end: at("2026-05-01T00:00:00Z") };
        assert_eq!(month.rest_of(400, at("2026-03-01T00:00:00Z")), 400);
        assert_eq!(month.rest_of(400, at("2026-04-16T00:00:00Z")), 200);
        assert_eq!(month.rest_of(400, at("2026-04-30T23:59:59Z")), 0);
        assert_eq!(month.rest_of(400, at("2026-06-01T00:00:00Z")), 0);
    }
}
