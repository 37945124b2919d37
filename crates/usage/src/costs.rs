use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Id, NanoUsd, Org};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::report::{DAY, PLATFORM};

/// What the calls of an org to a model cost on a day in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DailyCost {
    /// Whose calls.
    #[schema(value_type = uuid::Uuid)]
    pub org: Id<Org>,
    /// The day.
    pub day: NaiveDate,
    /// Who served the model.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// How many calls.
    pub calls: i64,
    /// Everything that they cost, in nano-USD.
    pub cost_nano_usd: NanoUsd,
    /// The part that the platform pays for, because it never learned how calls ended.
    pub platform_nano_usd: NanoUsd,
    /// Credits drawn.
    pub credits: i64,
}

impl DailyCost {
    /// The costs of every org from the day of `from` until before that of `to`. Calls of the last
    /// seconds, which are not rolled up yet, are not in them.
    pub async fn list(
        db: impl PgExecutor<'_>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _",
                      (slot at time zone 'UTC')::date as "day!",
                      provider, model,
                      sum(calls)::bigint as "calls!",
                      sum(cost_nano_usd)::bigint as "cost_nano_usd!: _",
                      coalesce(sum(cost_nano_usd) filter (where paid_by = 'platform'), 0)::bigint
                          as "platform_nano_usd!: _",
                      sum(credits)::bigint as "credits!"
               from usage_rollups
               where grain = $3 and not detail and org_id <> $4 and slot >= $1 and slot < $2
               group by 1, 2, 3, 4
               order by 1, 2, 3, 4"#,
            from,
            to,
            DAY,
            PLATFORM,
        )
        .fetch_all(db)
        .await
    }
}

/// What the calls of an org to a model cost in a span: the cost side of a margin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgCost {
    /// Whose calls.
    pub org: Id<Org>,
    /// Who served the model.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// How many calls.
    pub calls: i64,
    /// Everything that they cost, in nano-USD, whoever pays for it.
    pub cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub credits: i64,
}

impl OrgCost {
    /// The costs of every org from the day of `from` until before that of `to`. Calls of the last
    /// seconds, which are not rolled up yet, are not in them.
    pub async fn list(
        db: impl PgExecutor<'_>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _", provider, model,
                      sum(calls)::bigint as "calls!",
                      sum(cost_nano_usd)::bigint as "cost_nano_usd!: _",
                      sum(credits)::bigint as "credits!"
               from usage_rollups
               where grain = $3 and not detail and org_id <> $4 and slot >= $1 and slot < $2
               group by 1, 2, 3
               order by 1, 2, 3"#,
            from,
            to,
            DAY,
            PLATFORM,
        )
        .fetch_all(db)
        .await
    }
}

/// What the people who used the product in a span cost, against a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnitEconomics {
    /// People who made calls, themselves or by their API keys.
    pub active_users: i64,
    /// What all calls cost, in nano-USD.
    pub cost_nano_usd: NanoUsd,
    /// What an active user cost on average.
    pub per_active_user_nano_usd: NanoUsd,
    /// What a thousand of them would cost.
    pub per_thousand_users_nano_usd: NanoUsd,
    /// What a thousand of them may cost.
    pub target_nano_usd: NanoUsd,
    /// Whether they cost no more than that.
    pub within_target: bool,
}

impl UnitEconomics {
    /// The figures from `from` until `to`, with what a thousand users may cost in that span.
    pub async fn of(
        db: impl PgExecutor<'_>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        target: NanoUsd,
    ) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"select count(distinct user_id) as "users!",
                      coalesce(sum(cost_nano_usd), 0)::bigint as "cost!"
               from usage_rollups
               where grain = $3 and detail and slot >= $1 and slot < $2"#,
            from,
            to,
            DAY,
        )
        .fetch_one(db)
        .await?;
        Ok(Self::new(row.users, row.cost, target))
    }

    fn new(users: i64, cost: i64, target: NanoUsd) -> Self {
        let divided = |cost: i128| {
            let share = cost.checked_div(i128::from(users)).unwrap_or(0);
            NanoUsd(i64::try_from(share).unwrap_or(i64::MAX))
        };
        let per_thousand = divided(i128::from(cost) * 1000);
        Self {
            active_users: users,
            cost_nano_usd: NanoUsd(cost),
            per_active_user_nano_usd: divided(i128::from(cost)),
            per_thousand_users_nano_usd: per_thousand,
            target_nano_usd: target,
            within_target: per_thousand <= target,
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::NanoUsd;

    use super::UnitEconomics;

    #[test]
    fn a_thousand_users_cost_what_the_active_ones_do_on_average() {
        let figures = UnitEconomics::new(4, 400_000_000, NanoUsd::from_dollars(150));
        assert_eq!(figures.per_active_user_nano_usd, NanoUsd(100_000_000));
        assert_eq!(figures.per_thousand_users_nano_usd, NanoUsd::from_dollars(100));
        assert!(figures.within_target);
        assert!(!UnitEconomics::new(2, 400_000_000, NanoUsd::from_dollars(150)).within_target);
        assert!(UnitEconomics::new(0, 0, NanoUsd(0)).within_target);
    }
}
