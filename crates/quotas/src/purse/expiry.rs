use chrono::{DateTime, Utc};
use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::Purse;
use crate::{Grant, Quotas, Result, ledger::Account};

/// How many grants are looked at before others get the connection.
const BATCH: i64 = 100;

/// Books what is left of grants that have expired, and has what came free pay for what is owed.
///
/// Credits that a call holds when their grant expires can still be spent by it; what it gives back
/// lapses with the next run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExpireGrants {}

impl Job for ExpireGrants {
    const NAME: &'static str = "quotas.expire_grants";
    type Context = Quotas;

    async fn run(self, quotas: Quotas) -> anyhow::Result<()> {
        quotas.expire_grants().await?;
        Ok(())
    }
}

impl Quotas {
    /// Books what lapsed; answers how many credits. Several instances may do so at once.
    pub async fn expire_grants(&self) -> Result<i64> {
        let now = self.clock().now();
        let mut lapsed = 0;
        let mut after = (DateTime::UNIX_EPOCH, Id::<Grant>::from(uuid::Uuid::nil()));
        loop {
            let expired = expired(self.db().pool(), now, after).await?;
            let Some(last) = expired.last() else { break };
            after = (last.0, last.1);
            let mut orgs: Vec<Id<Org>> = expired.iter().map(|it| it.2).collect();
            orgs.sort_unstable();
            orgs.dedup();
            for org in orgs {
                lapsed += self.tidy(org, now).await?;
            }
        }
        for org in overdrawn(self.db().pool()).await? {
            self.tidy(org, now).await?;
        }
        Ok(lapsed)
    }

    async fn tidy(&self, org: Id<Org>, now: DateTime<Utc>) -> Result<i64> {
        let mut tx = self.db().begin().await?;
        let mut purse = Purse::lock(&mut tx, org, now).await?;
        let lapsed = purse.expire();
        purse.pay_debts();
        purse.save(&mut tx).await?;
        tx.commit().await?;
        Ok(lapsed)
    }
}

impl Purse {
    /// Books what is left of every grant that has expired; answers how many credits.
    pub(super) fn expire(&mut self) -> i64 {
        let mut lapsed = 0;
        for index in 0..self.grants.len() {
            let grant = &mut self.grants[index];
            if grant.lapsed || grant.is_live(self.now) {
                continue;
            }
            // What is in flight may come back.
            grant.lapsed = grant.held == 0;
            let left = grant.left();
            self.move_credits(index, Account::Available, Account::Expired, left);
            lapsed += left;
        }
        lapsed
    }
}

async fn expired(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    after: (DateTime<Utc>, Id<Grant>),
) -> sqlx::Result<Vec<(DateTime<Utc>, Id<Grant>, Id<Org>)>> {
    sqlx::query!(
        r#"select expires_at as "expires_at!", id as "id: Id<Grant>", org_id as "org: Id<Org>"
           from grants
           where not lapsed and expires_at <= $1 and (expires_at, id) > ($2, $3)
           order by expires_at, id
           limit $4"#,
        now,
        after.0,
        after.1 as _,
        BATCH,
    )
    .map(|row| (row.expires_at, row.id, row.org))
    .fetch_all(db)
    .await
}

/// Those who owe credits and have some that are not in flight.
async fn overdrawn(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Id<Org>>> {
    sqlx::query_scalar!(
        r#"select distinct org_id as "org: Id<Org>"
           from grants debtor
           where clawed_back > 0 and spent + revoked > amount
             and exists (select from grants g
                         where g.org_id = debtor.org_id and g.spent + g.held + g.revoked < g.amount
                           and g.source <> 'overage')"#,
    )
    .fetch_all(db)
    .await
}
