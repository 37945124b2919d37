use chrono::{DateTime, Utc};
use futures::future::join_all;
use jobs::Job;
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use usage::{Payer, Price};

use crate::{
    Hold, Quotas, Result, Unit,
    hold::{Draw, Ended},
    settle::{Settlement, Used},
};

/// How many holds are ended at once.
const BATCH: i64 = 100;

/// Ends holds that nobody settled: the process died, or the call hung beyond all time-outs.
///
/// The customer gets everything back. Whether the provider billed us is unknown, so the platform's
/// budget keeps counting what was reserved.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReapHolds {}

impl Job for ReapHolds {
    const NAME: &'static str = "quotas.reap_holds";
    type Context = Quotas;

    async fn run(self, quotas: Quotas) -> anyhow::Result<()> {
        quotas.reap().await?;
        Ok(())
    }
}

/// Ends every hold that has expired; answers how many. Several instances may do so at once. One that
/// cannot be ended does not keep the others.
pub(crate) async fn reap_all(quotas: &Quotas) -> Result<usize> {
    let now = quotas.clock().now();
    let mut ended = 0;
    let mut after = (DateTime::UNIX_EPOCH, Id::<Hold>::from(uuid::Uuid::nil()));
    loop {
        let expired = expired(quotas.db().pool(), now, after).await?;
        let Some(last) = expired.last() else { break };
        after = (last.expires_at, last.call.id);
        let ends = expired.into_iter().map(|it| quotas.end(it.give_up(now)));
        for result in join_all(ends).await {
            match result {
                Ok(was_open) => ended += usize::from(was_open),
                Err(error) => tracing::error!(%error, "an expired call could not be given up"),
            }
        }
    }
    if ended > 0 {
        tracing::warn!(count = ended, "calls with unknown outcome were given up");
    }
    Ok(ended)
}

struct Expired {
    call: Ended,
    cost: NanoUsd,
    expires_at: DateTime<Utc>,
}

impl Expired {
    fn give_up(self, now: DateTime<Utc>) -> Settlement {
        let used = Some(Used::unknown(self.cost));
        Settlement { call: self.call, used, if_expired_at: Some(now) }
    }
}

/// Those that expired before `now`, the next ones after `after`. A draw on a budget that was removed
/// is told without its unit, and is left out: there is nothing to give back to.
async fn expired(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    after: (DateTime<Utc>, Id<Hold>),
) -> Result<Vec<Expired>> {
    let rows = sqlx::query!(
        r#"select h.id as "id: Id<Hold>", h.org_id as "org: Id<Org>", h.user_id as "user: Id<User>",
                  h.api_key_id as "api_key: Id<ApiKey>", h.project_id, h.operation, h.provider, h.model,
                  h.price_id as "price: Id<Price>", h.paid_by as "paid_by: Payer", h.request_id,
                  h.created_at, h.expires_at, h.cost_nano_usd, h.draw_ids, h.draw_amounts,
                  h.draw_periods as "draw_periods: Vec<Option<DateTime<Utc>>>",
                  array(select b.unit from unnest(h.draw_ids) with ordinality d (id, n)
                        left join budgets b on b.id = d.id order by d.n) as "units!: Vec<Option<Unit>>",
                  array(select b.org_id is null from unnest(h.draw_ids) with ordinality d (id, n)
                        left join budgets b on b.id = d.id order by d.n) as "platforms!: Vec<bool>"
           from holds h
           where h.expires_at < $1 and (h.expires_at, h.id) > ($2, $3)
           order by h.expires_at, h.id
           limit $4"#,
        now,
        after.0,
        after.1 as _,
        BATCH,
    )
    .fetch_all(db)
    .await?;
    let read = rows.into_iter().map(|row| {
        let amounts = row.draw_ids.into_iter().zip(row.draw_amounts).zip(row.draw_periods);
        let kinds = row.units.into_iter().zip(row.platforms);
        let draws = amounts.zip(kinds).filter_map(|(((id, amount), period), (unit, platform))| {
            let Some(period) = period else {
                return Some(Draw::Grant { grant: id.into(), amount });
            };
            Some(Draw::Budget { budget: id.into(), platform, unit: unit?, period, amount })
        });
        let call = Ended {
            id: row.id,
            org: row.org,
            user: row.user,
            api_key: row.api_key,
            project: row.project_id,
            operation: row.operation,
            provider: row.provider,
            model: row.model,
            price: row.price,
            // How it would have been charged is not known of a call that is given up.
            in_batch: false,
            paid_by: row.paid_by,
            request_id: row.request_id,
            created_at: row.created_at,
            draws: draws.collect(),
        };
        Expired { call, cost: NanoUsd(row.cost_nano_usd), expires_at: row.expires_at }
    });
    Ok(read.collect())
}
