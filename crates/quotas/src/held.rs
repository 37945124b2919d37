use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use sqlx::PgExecutor;
use usage::{Payer, Price};
use uuid::Uuid;

use crate::{
    Hold, Quotas, Result, Unit, Used,
    hold::{Draw, Ended},
    settle::Settlement,
};

/// A reservation as it was written down, whoever made it: what is needed to end it.
#[derive(Clone, Debug)]
pub struct Held {
    call: Ended,
    reserved: NanoUsd,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Held {
    /// Identifies the call.
    pub fn id(&self) -> Id<Hold> {
        self.call.id
    }

    /// As the reaper does, or whoever will never learn how the call ended.
    pub(crate) fn given_up(self, if_expired_at: Option<DateTime<Utc>>) -> Settlement {
        let used = Some(Used::unknown(self.reserved));
        Settlement { call: self.call, used, if_expired_at }
    }

    /// Those of `ids` that are still open, the first to expire first. A draw on a budget that was removed
    /// is told without its unit, and is left out: there is nothing to give back to.
    pub(crate) async fn find(db: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Self>> {
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
               where h.id = any($1)
               order by h.expires_at, h.id"#,
            ids,
        )
        .fetch_all(db)
        .await?;
        let read = rows.into_iter().map(|row| {
            let amounts = row.draw_ids.into_iter().zip(row.draw_amounts).zip(row.draw_periods);
            let kinds = row.units.into_iter().zip(row.platforms);
            let draws =
                amounts.zip(kinds).filter_map(|(((id, amount), period), (unit, platform))| {
                    let Some(period) = period else {
                        return Some(Draw::Grant { grant: id.into(), amount });
                    };
                    let (budget, unit) = (id.into(), unit?);
                    Some(Draw::Budget { budget, platform, unit, period, amount })
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
                // Whoever settles it knows; of a call that is given up it is not known.
                in_batch: false,
                paid_by: row.paid_by,
                request_id: row.request_id,
                created_at: row.created_at,
                draws: draws.collect(),
            };
            let reserved = NanoUsd(row.cost_nano_usd);
            Self { call, reserved, expires_at: row.expires_at }
        });
        Ok(read.collect())
    }
}

/// For calls that outlive the process that reserved them.
impl Quotas {
    /// Those of `ids` that nobody has ended.
    pub async fn held(&self, ids: &[Uuid]) -> Result<Vec<Held>> {
        Ok(Held::find(self.db().pool(), ids).await?)
    }

    /// Books what a call of a batch used; `false` if it had been ended before.
    pub async fn settle_batched(&self, held: Held, used: Used) -> Result<bool> {
        let call = Ended { in_batch: true, ..held.call };
        self.end(Settlement { call, used: Some(used), if_expired_at: None }).await
    }

    /// Gives back all that it reserved: the provider billed nothing.
    pub async fn release_held(&self, held: Held) -> Result<bool> {
        self.end(Settlement { call: held.call, used: None, if_expired_at: None }).await
    }

    /// Gives back what the customer reserved, at the platform's cost: the provider may have billed it.
    pub async fn give_up_held(&self, held: Held) -> Result<bool> {
        self.end(held.given_up(None)).await
    }
}
