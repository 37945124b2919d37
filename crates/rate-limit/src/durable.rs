use chrono::TimeDelta;
use db::Db;
use kernel::Clock;
use web::Problem;

use crate::{Config, Quota, standing::Standing};

/// Limits that hold across instances and restarts, for attempts at secrets.
///
/// Without Postgres nothing is permitted; nobody could sign in then anyway.
#[derive(Clone, Debug)]
pub struct Durable {
    db: Db,
    clock: Clock,
    is_on: bool,
}

impl Durable {
    /// Counts in `db`.
    pub fn new(db: Db, clock: Clock, config: &Config) -> Self {
        Self { db, clock, is_on: config.is_on() }
    }

    /// Whether anything is counted at all.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Counts one attempt under the policy `name`, such as `login`, of whoever `key` names, such as
    /// `ip:203.0.113.7`. The attempt that is one too many is answered 429 and not counted.
    pub async fn check(&self, name: &'static str, key: &str, quota: Quota) -> Result<(), Problem> {
        if !self.is_on {
            return Ok(());
        }
        let key = format!("{name}:{key}");
        let now = self.clock.now();
        let [interval, period] = [quota.interval(), quota.per]
            .map(|time| TimeDelta::microseconds(time.as_micros().try_into().unwrap_or(i64::MAX)));
        // One more conforms as long as the next one is not expected later than this.
        let latest = now + period - interval;
        let counted = sqlx::query!(
            "insert into rate_limits as known (key, theoretical_arrival_time)
             values ($1, $2::timestamptz + $3)
             on conflict (key) do update
             set theoretical_arrival_time = greatest(known.theoretical_arrival_time, $2) + $3
             where known.theoretical_arrival_time <= $4",
            key,
            now,
            interval as _,
            latest,
        )
        .execute(self.db.pool())
        .await?;
        if counted.rows_affected() == 1 {
            return Ok(());
        }
        let expected = sqlx::query_scalar!(
            "select theoretical_arrival_time from rate_limits where key = $1",
            key,
        )
        .fetch_optional(self.db.pool())
        .await?;
        let window = (expected.unwrap_or(latest) - latest).to_std().unwrap_or_default();
        Err(Standing { policy: name, quota, remaining: 0, window }.refusal())
    }
    /// Removes the rows of those whose quota is whole again: no row says the same.
    pub async fn purge(&self) -> sqlx::Result<()> {
        let now = self.clock.now();
        sqlx::query!("delete from rate_limits where theoretical_arrival_time <= $1", now)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}
