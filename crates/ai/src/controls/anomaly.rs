use chrono::TimeDelta;
use jobs::Job;
use kernel::{Id, NanoUsd, Org};
use serde::{Deserialize, Serialize};

use crate::Ai;

/// The span that is looked at.
const SPAN: TimeDelta = TimeDelta::minutes(10);
/// What is usual is learned from so many days.
const HISTORY: TimeDelta = TimeDelta::days(7);

/// Looks every minute at what the last ten minutes cost each org and all together, and switches AI
/// calls off where that is far beyond what is usual.
///
/// Unusual is what costs more than `AI_ANOMALY_FLOOR_USD`, and more than `AI_ANOMALY_FACTOR` times the
/// average ten minutes with any calls of the seven days before. For all orgs together the floor is ten
/// times as high.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WatchSpend {}

/// What an org, or everybody, has spent.
struct Spend {
    org: Option<Id<Org>>,
    recent: i64,
    usual: i64,
}

impl Job for WatchSpend {
    const NAME: &'static str = "ai.watch_spend";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        let Some(rule) = ai.anomaly else { return Ok(()) };
        for spend in ai.recent_spend(rule.floor).await? {
            let everybody = spend.org.is_none();
            let floor = rule.floor.0.saturating_mul(if everybody { 10 } else { 1 });
            let usual = spend.usual.saturating_mul(rule.factor);
            if spend.recent > floor && spend.recent > usual {
                let [recent, usual] = [spend.recent, spend.usual].map(NanoUsd);
                let reason = format!(
                    "The last ten minutes cost {recent}; usual are {usual}. Switch AI calls on again if that is meant."
                );
                ai.trip(spend.org, reason).await?;
            }
        }
        Ok(())
    }
}

/// When spending is unusual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnomalyRule {
    pub(crate) factor: i64,
    pub(crate) floor: NanoUsd,
}

impl Ai {
    /// Of all that spent more than `floor` in the last ten minutes, and of everybody together.
    async fn recent_spend(&self, floor: NanoUsd) -> sqlx::Result<Vec<Spend>> {
        let now = self.clock.now();
        sqlx::query_as!(
            Spend,
            r#"with recent as (
                   select org_id, sum(cost_nano_usd)::bigint as cost
                   from usage_records
                   where created_at > $1 and created_at <= $3
                   group by rollup (org_id)
                   having sum(cost_nano_usd) > $4::bigint
               )
               select recent.org_id as "org: _", recent.cost as "recent!",
                      coalesce((
                          select sum(cost_nano_usd) / count(distinct date_bin('10 minutes', created_at, 'epoch'))
                          from usage_records u
                          where u.created_at > $2 and u.created_at <= $1
                            and (recent.org_id is null or u.org_id = recent.org_id)
                      ), 0)::bigint as "usual!"
               from recent"#,
            now - SPAN,
            now - SPAN - HISTORY,
            now,
            floor.0,
        )
        .fetch_all(self.db.pool())
        .await
    }
}
