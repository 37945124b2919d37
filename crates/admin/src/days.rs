use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;
use utoipa::IntoParams;
use web::Problem;

/// Days in UTC.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Days {
    /// The first; 30 days ago unless given.
    pub(crate) from: Option<NaiveDate>,
    /// The one after the last; tomorrow unless given.
    pub(crate) to: Option<NaiveDate>,
}

impl Days {
    pub(crate) fn resolve(&self, now: DateTime<Utc>) -> web::Result<(NaiveDate, NaiveDate)> {
        let today = now.date_naive();
        let from = self.from.unwrap_or(today - TimeDelta::days(30));
        let to = self.to.unwrap_or(today + TimeDelta::days(1));
        if from < to && to.signed_duration_since(from) <= TimeDelta::days(366) {
            return Ok((from, to));
        }
        let detail = "the range must end after it begins and be at most 366 days long";
        let problem = Problem::unprocessable("invalid_range", detail);
        Err(problem
            .action("Ask for days such as from=2026-11-01&to=2026-12-01; `to` is not in it."))
    }

    /// From the first midnight to the last.
    pub(crate) fn span(&self, now: DateTime<Utc>) -> web::Result<(DateTime<Utc>, DateTime<Utc>)> {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        self.resolve(now).map(|(from, to)| (midnight(from), midnight(to)))
    }
}
