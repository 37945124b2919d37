use chrono::{DateTime, Days, Months};
use serde_json::Value;

use super::shape::{integer, text};

/// The end of the period that starts at `start`, by a price's interval counted from `anchor`.
///
/// Counting from the anchor keeps the day: what began on January 31 ends on February 28 and then on March 31.
pub(super) fn end(recurring: &Value, anchor: i64, start: i64) -> i64 {
    let count = u32::try_from(integer(recurring, "interval_count")).unwrap_or(1).max(1);
    let interval = text(recurring, "interval");
    (1..)
        .map_while(|periods| after(anchor, interval, count.checked_mul(periods)?))
        .find(|end| *end > start)
        .unwrap_or(start)
}

fn after(anchor: i64, interval: &str, count: u32) -> Option<i64> {
    let anchor = DateTime::from_timestamp(anchor, 0)?;
    let end = match interval {
        "day" => anchor.checked_add_days(Days::new(count.into())),
        "week" => anchor.checked_add_days(Days::new(u64::from(count) * 7)),
        "month" => anchor.checked_add_months(Months::new(count)),
        _ => anchor.checked_add_months(Months::new(count.checked_mul(12)?)),
    };
    end.map(|end| end.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(day: &str) -> i64 {
        day.parse::<DateTime<chrono::Utc>>().unwrap().timestamp()
    }

    #[test]
    fn a_month_that_began_on_the_31st_returns_to_the_31st() {
        let month = json!({ "interval": "month", "interval_count": 1 });
        let anchor = at("2026-01-31T10:00:00Z");
        let february = end(&month, anchor, anchor);
        assert_eq!(february, at("2026-02-28T10:00:00Z"));
        assert_eq!(end(&month, anchor, february), at("2026-03-31T10:00:00Z"));
    }

    #[test]
    fn a_year_is_twelve_months() {
        let year = json!({ "interval": "year", "interval_count": 1 });
        let anchor = at("2028-02-29T00:00:00Z");
        assert_eq!(end(&year, anchor, anchor), at("2029-02-28T00:00:00Z"));
    }
}
