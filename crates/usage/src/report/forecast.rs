use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, NanoUsd, Org};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::{Bucket, Filter, lines, span::Span, time_zone};
use crate::Result;

/// How many full days a forecast looks back.
const DAYS: i32 = 28;

/// What this month will have cost when it ends, if the coming days are like the last 28.
///
/// The interval holds the outcome about nine times in ten, if days differ from each other as they did
/// and independently: 1.645 standard deviations of a day, times the square root of the days to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageForecast)]
pub struct Forecast {
    /// When the month ends.
    pub month_ends_at: DateTime<Utc>,
    /// What it cost so far, in nano-USD.
    pub spent_nano_usd: NanoUsd,
    /// What a day cost on the average of the days looked back at.
    pub per_day_nano_usd: NanoUsd,
    /// The credits that a day drew on average, in thousandths.
    pub milli_credits_per_day: i64,
    /// What the month will have cost.
    pub month_nano_usd: NanoUsd,
    /// Hardly less than this.
    pub low_nano_usd: NanoUsd,
    /// Hardly more than this.
    pub high_nano_usd: NanoUsd,
    /// How many full days it was made from; the fewer, the worse.
    pub days: usize,
}

impl Forecast {
    /// The forecast for `org`, by the calls that the customer pays for.
    pub async fn of(db: &mut PgConnection, org: Id<Org>, now: DateTime<Utc>) -> Result<Self> {
        let zone = time_zone(db, org).await?;
        let month = Span::new(None, None, zone, now)?;
        let spent =
            lines::read(db, org.uuid(), &month.bounds(None)?, &[], &Filter::default()).await?;
        let today = Bucket::Day.start(now, zone);
        let back = Span::new(Some(today - TimeDelta::days(DAYS.into())), Some(today), zone, now)?;
        let bounds = back.bounds(Some(Bucket::Day))?;
        let lines = lines::read(db, org.uuid(), &bounds, &[], &Filter::default()).await?;
        let days: Vec<(i64, i64)> = lines::by_bucket(&lines, bounds.len() - 1);
        let month_ends_at = Bucket::Month.end(now, zone);
        let spent = lines::by_bucket(&spent, 1).first().map_or(0, |day| day.0);
        Ok(Self::from_days(&days, spent, month_ends_at, now))
    }

    /// `days`: what each cost and the credits it drew, the oldest first. Days before the first call
    /// say nothing of the days to come.
    fn from_days(
        days: &[(i64, i64)],
        spent: i64,
        month_ends_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        let first = days.iter().position(|day| *day != (0, 0)).unwrap_or(days.len());
        let days = &days[first..];
        let count = i128::try_from(days.len().max(1)).unwrap_or(1);
        let mean = days.iter().map(|day| i128::from(day.0)).sum::<i128>() / count;
        let variance =
            days.iter().map(|day| (i128::from(day.0) - mean).pow(2)).sum::<i128>() / count;
        let left = i128::from((month_ends_at - now).num_seconds().max(0));
        let expected = i128::from(spent) + mean * left / 86_400;
        let deviation = (variance.saturating_mul(left) / 86_400).isqrt() * 1645 / 1000;
        let nano = |amount: i128| NanoUsd(i64::try_from(amount).unwrap_or(i64::MAX));
        let credits = days.iter().map(|day| i128::from(day.1)).sum::<i128>();
        Self {
            month_ends_at,
            spent_nano_usd: NanoUsd(spent),
            per_day_nano_usd: nano(mean),
            milli_credits_per_day: nano(credits * 1000 / count).0,
            month_nano_usd: nano(expected),
            low_nano_usd: nano((expected - deviation).max(i128::from(spent))),
            high_nano_usd: nano(expected + deviation),
            days: days.len(),
        }
    }

    /// When `left` nano-USD are used up at this rate; `None`: not at all.
    pub fn runs_out_at(&self, left: NanoUsd, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        run_out(left.0, self.per_day_nano_usd.0, now)
    }

    /// When `left` credits are.
    pub fn credits_run_out_at(&self, left: i64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        run_out(left.saturating_mul(1000), self.milli_credits_per_day, now)
    }
}

fn run_out(left: i64, per_day: i64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let seconds = (i128::from(left.max(0)) * 86_400).checked_div(i128::from(per_day))?;
    now.checked_add_signed(TimeDelta::try_seconds(i64::try_from(seconds).ok()?)?)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use kernel::NanoUsd;

    use super::Forecast;

    fn noon() -> DateTime<Utc> {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }

    fn forecast(days: &[(i64, i64)], spent: i64) -> Forecast {
        Forecast::from_days(days, spent, noon() + TimeDelta::days(10), noon())
    }

    #[test]
    fn equal_days_go_on_equally_and_certainly() {
        let forecast = forecast(&[(1_000_000, 2); 28], 20_000_000);
        assert_eq!(forecast.month_nano_usd, NanoUsd(30_000_000));
        assert_eq!(forecast.low_nano_usd, forecast.high_nano_usd);
        assert_eq!(forecast.milli_credits_per_day, 2000);
    }

    #[test]
    fn days_that_differ_widen_the_interval_which_never_falls_below_what_is_spent() {
        let days: Vec<_> =
            (0..28).map(|day| (if day % 2 == 0 { 0 } else { 2_000_000 }, 0)).collect();
        let forecast = forecast(&days[1..], 20_000_000);
        assert!(forecast.low_nano_usd < forecast.month_nano_usd);
        assert!(forecast.high_nano_usd > forecast.month_nano_usd);
        // 1.645 × 1,000,000 × √10
        let half = forecast.high_nano_usd.0 - forecast.month_nano_usd.0;
        assert!((5_100_000..5_300_000).contains(&half), "{half}");
        assert!(forecast.low_nano_usd >= forecast.spent_nano_usd);
    }

    #[test]
    fn days_before_the_first_call_do_not_count() {
        let mut days = [(0, 0); 28];
        days[26] = (4_000_000, 0);
        days[27] = (2_000_000, 0);
        let forecast = forecast(&days, 0);
        assert_eq!((forecast.days, forecast.per_day_nano_usd), (2, NanoUsd(3_000_000)));
    }

    #[test]
    fn what_is_not_used_never_runs_out() {
        let idle = forecast(&[(0, 0); 28], 0);
        assert_eq!(idle.runs_out_at(NanoUsd(1), noon()), None);
        let busy = forecast(&[(1_000_000, 5); 28], 0);
        assert_eq!(busy.runs_out_at(NanoUsd(3_000_000), noon()), Some(noon() + TimeDelta::days(3)));
        assert_eq!(busy.credits_run_out_at(10, noon()), Some(noon() + TimeDelta::days(2)));
    }
}
