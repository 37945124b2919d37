use audit::{Entry, Origin};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use jobs::Job;
use kernel::NanoUsd;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{
    Error, Result, Usage,
    report::{DAY, PLATFORM},
};

/// How far back the nightly job looks: providers correct their figures for some days.
const DAYS: u64 = 7;
/// More than any model costs a day; sums of such amounts stay within range.
const MOST: i64 = 10_000_000 * 1_000_000_000;

/// What a provider charged for a model on a day in UTC, by its own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderCost {
    /// Who.
    pub provider: String,
    /// For which model, dated or not.
    pub model: String,
    /// On which day.
    pub day: NaiveDate,
    /// How much, in nano-USD.
    pub cost_nano_usd: i64,
}

/// A day on which provider and records differ, or do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Drift {
    /// Who.
    pub provider: String,
    /// Which model, under the name that its price has.
    pub model: String,
    /// On which day.
    pub day: NaiveDate,
    /// What the provider says, in nano-USD; `None`: nothing yet.
    pub charged_nano_usd: Option<NanoUsd>,
    /// What the records say of calls that ended in sight.
    pub recorded_nano_usd: NanoUsd,
    /// What was reserved for calls of which we never learned how they ended: the most they can have cost.
    pub unknown_nano_usd: NanoUsd,
}

impl ProviderCost {
    /// Reads a file with the columns `provider`, `model`, `day` and `cost_nano_usd`, in any order.
    pub fn from_csv(file: &[u8]) -> Result<Vec<Self>> {
        let rows = csv::Reader::from_reader(file).into_deserialize().collect::<csv::Result<_>>();
        rows.map_err(|error| Error::InvalidCosts { reason: error.to_string() })
    }

    /// Keeps `costs` in place of what was known of these days and models, and writes down who did so.
    pub async fn import(
        db: &mut PgConnection,
        costs: &[Self],
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let refuse = |reason: &str| Err(Error::InvalidCosts { reason: reason.to_owned() });
        if costs.is_empty() {
            return refuse("there are none");
        }
        if costs.iter().any(|cost| !(0..=MOST).contains(&cost.cost_nano_usd)) {
            return refuse("a cost is negative, or more than ten million dollars a day");
        }
        if costs.iter().any(|cost| cost.provider.is_empty() || cost.model.is_empty()) {
            return refuse("a provider or a model has no name");
        }
        if costs.iter().any(|cost| cost.day > now.date_naive()) {
            return refuse("a day has not begun");
        }
        let column = |of: fn(&Self) -> &str| costs.iter().map(|it| of(it).to_owned()).collect();
        let (providers, models): (Vec<String>, Vec<String>) =
            (column(|it| &it.provider), column(|it| &it.model));
        let days: Vec<NaiveDate> = costs.iter().map(|it| it.day).collect();
        let amounts: Vec<i64> = costs.iter().map(|it| it.cost_nano_usd).collect();
        sqlx::query!(
            "insert into provider_costs (provider, model, day, cost_nano_usd, imported_at)
             select provider, model, day, sum(cost)::bigint, $5
             from unnest($1::text[], $2::text[], $3::date[], $4::bigint[])
                 as new (provider, model, day, cost)
             group by provider, model, day
             on conflict (provider, day, model) do update
             set cost_nano_usd = excluded.cost_nano_usd, imported_at = excluded.imported_at",
            &providers,
            &models,
            &days,
            &amounts,
            now,
        )
        .execute(&mut *db)
        .await?;
        Entry::new(origin, None, "provider_costs.imported", costs.len())
            .after(serde_json::to_value(costs).unwrap_or_default())
            .record(db, now)
            .await?;
        Ok(())
    }
}

impl Drift {
    /// Provider and records side by side, from `from` until before `to`. Dated names of a model count
    /// for the model. Calls of the last seconds are not in it.
    pub async fn list(
        db: impl PgExecutor<'_>,
        from: NaiveDate,
        to: NaiveDate,
    ) -> sqlx::Result<Vec<Self>> {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        sqlx::query_as!(
            Self,
            r#"with family as (
                   select distinct m.provider, s.name as dated, m.name
                   from model_snapshots s join models m on m.id = s.model_id
               ), sums as (
                   select provider, model, day, cost_nano_usd as charged, 0 as recorded, 0 as unknown
                   from provider_costs
                   where day >= $1 and day < $2
                   union all
                   select provider, model, (slot at time zone 'UTC')::date, null,
                          case when outcome <> 'unknown' then cost_nano_usd else 0 end,
                          case when outcome = 'unknown' then cost_nano_usd else 0 end
                   from usage_rollups
                   where org_id = $5 and not detail and grain = $6 and slot >= $3 and slot < $4
               )
               select s.provider as "provider!",
                      coalesce(f.name, s.model) as "model!",
                      s.day as "day!",
                      sum(charged)::bigint as "charged_nano_usd: NanoUsd",
                      sum(recorded)::bigint as "recorded_nano_usd!: NanoUsd",
                      sum(unknown)::bigint as "unknown_nano_usd!: NanoUsd"
               from sums s
               left join family f on f.provider = s.provider and f.dated = s.model
               group by 1, 2, 3
               order by 3, 1, 2"#,
            from,
            to,
            midnight(from),
            midnight(to),
            PLATFORM,
            DAY,
        )
        .fetch_all(db)
        .await
    }

    /// The last days whose figures may still be corrected, without today.
    pub async fn recent(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<Vec<Self>> {
        let today = now.date_naive();
        Self::list(db, today - Days::new(DAYS), today).await
    }

    /// By how many percent, at least, it [`is_within`](Self::is_within); `None`: the provider has not told yet.
    pub fn percent(&self) -> Option<u32> {
        self.charged_nano_usd?;
        (0..=100).find(|percent| self.is_within(*percent))
    }

    /// Whether the provider charged what the records say, give or take `percent`, and up to what the
    /// calls with unknown outcome can explain. A day without the provider's account is not judged.
    pub fn is_within(&self, percent: u32) -> bool {
        let Some(charged) = self.charged_nano_usd else { return true };
        let (charged, recorded) = (i128::from(charged.0), i128::from(self.recorded_nano_usd.0));
        let tolerance = recorded.max(charged) * i128::from(percent) / 100;
        let most = recorded + i128::from(self.unknown_nano_usd.0) + tolerance;
        (recorded - tolerance..=most).contains(&charged)
    }
}

/// Tells, every night, where providers charged other than the records say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reconcile {}

impl Job for Reconcile {
    const NAME: &'static str = "usage.reconcile";
    type Context = Usage;

    async fn run(self, usage: Usage) -> anyhow::Result<()> {
        let drifts = Drift::recent(usage.db.pool(), usage.clock.now()).await?;
        let drifted = drifts.iter().filter(|it| !it.is_within(usage.config.usage_drift_percent));
        let mut count = 0_u32;
        for drift in drifted {
            count += 1;
            tracing::error!(?drift, "a provider charged other than what was recorded");
        }
        metrics::gauge!("usage_drifted_days").set(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use kernel::NanoUsd;

    use super::{Drift, ProviderCost};

    fn drift(charged: Option<i64>, recorded: i64, unknown: i64) -> Drift {
        Drift {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            day: NaiveDate::default(),
            charged_nano_usd: charged.map(NanoUsd),
            recorded_nano_usd: NanoUsd(recorded),
            unknown_nano_usd: NanoUsd(unknown),
        }
    }

    #[test]
    fn a_difference_beyond_tolerance_and_unknown_calls_is_drift() {
        assert!(drift(Some(1000), 1000, 0).is_within(0));
        assert!(drift(Some(1010), 1000, 0).is_within(1));
        assert!(!drift(Some(1011), 990, 0).is_within(1));
        assert!(!drift(Some(950), 1000, 0).is_within(1));
        assert!(drift(Some(1400), 1000, 400).is_within(0), "the unknown calls were made");
        assert!(!drift(Some(1401), 1000, 400).is_within(0));
        assert!(drift(None, 1000, 0).is_within(0), "the provider has not told yet");
        assert!(!drift(Some(1), 0, 0).is_within(1), "a model that nobody recorded");
        for (charged, recorded, unknown, percent) in [
            (1000, 1000, 0, 0),
            (1010, 1000, 0, 1),
            (950, 1000, 0, 5),
            (1400, 1000, 400, 0),
            (1, 0, 0, 100),
        ] {
            assert_eq!(drift(Some(charged), recorded, unknown).percent(), Some(percent));
        }
        assert_eq!(drift(None, 1000, 0).percent(), None);
    }

    #[test]
    fn files_are_read_by_the_names_of_their_columns() {
        let file = b"day,provider,model,cost_nano_usd\n2026-11-20,openai,\"gpt,4\",12\n";
        let costs = ProviderCost::from_csv(file).unwrap();
        assert_eq!((costs[0].model.as_str(), costs[0].cost_nano_usd), ("gpt,4", 12));
        assert!(ProviderCost::from_csv(b"day,provider\n2026-11-20,openai\n").is_err());
    }
}
