use axum::extract::State;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Query, Routes};

use crate::{Error, Summary, Usage};

const READ: Permission = Permission::read("usage:read");

pub(crate) fn routes() -> Routes<Usage> {
    Routes::new().route(Access::to(READ), routes!(summary))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Range {
    /// From then, inclusive. The start of this month (UTC) unless given.
    from: Option<DateTime<Utc>>,
    /// Until then, exclusive. Now unless given.
    to: Option<DateTime<Utc>>,
}

impl Range {
    fn resolve(self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), Error> {
        let month = now.date_naive().with_day(1).unwrap_or_default();
        let from = self.from.unwrap_or_else(|| month.and_time(chrono::NaiveTime::MIN).and_utc());
        // One microsecond later, so that a call which just ended is in it.
        let to = self.to.unwrap_or(now + TimeDelta::microseconds(1));
        let length = to.signed_duration_since(from);
        let valid = length > TimeDelta::zero()
            && length <= TimeDelta::days(366)
            && (2000..2200).contains(&from.year());
        if valid { Ok((from, to)) } else { Err(Error::InvalidRange) }
    }
}

/// What the org used: calls, tokens, cost in nano-USD, credits; in total and by model.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(Range), responses((status = 200, body = Summary)))]
async fn summary(
    State(usage): State<Usage>,
    caller: Caller,
    Query(range): Query<Range>,
) -> web::Result<Json<Summary>> {
    let (from, to) = range.resolve(usage.clock.now())?;
    let mut tx = usage.db.tenant(caller.org).await?;
    Ok(Json(Summary::of(&mut *tx, caller.org, from, to).await?))
}
