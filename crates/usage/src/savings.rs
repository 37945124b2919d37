use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, NanoUsd, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Error, Model, Result, Scenario,
    replay::{replay, replay_cached},
};

/// Which savings to tell.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SavingsQuery {
    /// Calls that ended then or later. The last 30 days unless given.
    from: Option<DateTime<Utc>>,
    /// Calls that ended before then. Now unless given.
    to: Option<DateTime<Utc>>,
    /// The chat model that would have answered everything, to compare with.
    pub(crate) baseline: Option<String>,
}

impl SavingsQuery {
    /// No longer than a year: every call of it is read.
    pub(crate) fn span(&self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
        let to = self.to.unwrap_or(now + TimeDelta::microseconds(1));
        let from = self.from.unwrap_or(now - TimeDelta::days(30));
        let length = to.signed_duration_since(from);
        let valid = length > TimeDelta::zero() && length <= TimeDelta::days(366);
        if valid { Ok((from, to)) } else { Err(Error::InvalidRange) }
    }
}

/// What was saved, at the prices in force now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSavings)]
pub(crate) struct Savings {
    /// What the calls cost, in nano-USD.
    cost_nano_usd: NanoUsd,
    /// By prompts that providers had cached.
    prompt_cache: Saving,
    /// By answers from the response cache.
    response_cache: Saving,
    /// By choosing models, against the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_choice: Option<Saving>,
}

/// What one way of saving saved.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageSaving)]
pub(crate) struct Saving {
    /// What the calls would have cost without it, in nano-USD.
    without_nano_usd: NanoUsd,
    /// What it saved; negative if it cost more.
    saved_nano_usd: NanoUsd,
    /// The same in percent of what they would have cost.
    percent: i64,
}

impl Saving {
    fn new(without: NanoUsd, with: NanoUsd) -> Self {
        let saved = without.0 - with.0;
        let percent = (i128::from(saved) * 100).checked_div(i128::from(without.0));
        Self {
            without_nano_usd: without,
            saved_nano_usd: NanoUsd(saved),
            percent: percent.and_then(|it| i64::try_from(it).ok()).unwrap_or(0),
        }
    }
}

impl Savings {
    pub(crate) async fn of(
        db: &mut PgConnection,
        book: &[Model],
        org: Id<Org>,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        baseline: Option<&str>,
    ) -> Result<Self> {
        let now = Scenario::default();
        let actual = replay(db, book, Some(org), from, to, &now).await?;
        let spared = replay_cached(db, book, org, (from, to)).await?;
        let model_choice = match baseline {
            None => None,
            Some(model) => {
                let scenario = Scenario::baseline(book, model)?;
                let other = replay(db, book, Some(org), from, to, &scenario).await?;
                Some(Saving::new(other.replayed_nano_usd, actual.replayed_nano_usd))
            }
        };
        Ok(Self {
            cost_nano_usd: actual.actual_nano_usd,
            prompt_cache: Saving::new(actual.uncached_nano_usd, actual.replayed_nano_usd),
            response_cache: Saving::new(
                actual.replayed_nano_usd + spared.replayed_nano_usd,
                actual.replayed_nano_usd,
            ),
            model_choice,
        })
    }
}

#[cfg(test)]
mod tests {
    use kernel::NanoUsd;

    use super::Saving;

    #[test]
    fn what_costs_more_saves_less_than_nothing() {
        assert_eq!(Saving::new(NanoUsd(200), NanoUsd(50)).percent, 75);
        assert_eq!(Saving::new(NanoUsd(100), NanoUsd(150)).percent, -50);
        assert_eq!(Saving::new(NanoUsd(0), NanoUsd(0)).percent, 0);
    }
}
