use chrono::{DateTime, Utc};
use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    Billing, Catalogue, CatalogueVersion, Error, Plan, PlanGrant, Result, Subscription,
    subscription,
};

impl Billing {
    /// Entitles `org` to what it may use now, in the transaction of whatever changes that. The org
    /// must be [locked](subscription::lock).
    pub(crate) async fn entitle(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        // Not from memory: it may be the change that is to be applied.
        let catalogue = CatalogueVersion::newest(&mut *db).await?.catalogue;
        let subscription = Subscription::of(&mut *db, org).await?;
        if let Some(it) = &subscription {
            self.allow_overage(&mut *db, &catalogue, it, now).await?;
        }
        let subscribed = self.subscribed(db, &catalogue, subscription, now).await?;
        let granted = match PlanGrant::of(&mut *db, org, now).await? {
            Some(grant) => Some(known(&catalogue, &grant.plan)?.clone()),
            None => None,
        };
        let plan = better(&catalogue, subscribed, granted);
        quotas::entitle(db, org, &plan.entitlement(), now).await?;
        Ok(())
    }

    /// The plan that an org's subscription puts in force, with the seats that come with it.
    async fn subscribed(
        &self,
        db: &mut PgConnection,
        catalogue: &Catalogue,
        subscription: Option<Subscription>,
        now: DateTime<Utc>,
    ) -> Result<Option<Plan>> {
        let Some(it) = subscription.filter(|it| it.state(self.grace, now).gives_plan()) else {
            return Ok(None);
        };
        let mut plan = paid_plan(db, catalogue, &it).await?;
        plan.seats = plan.seats.saturating_add(it.extra_seats);
        if let Some(next) = &it.next_plan {
            let next = known(catalogue, next)?;
            // Whoever joins now should still have a seat then.
            let seats = next.seats.saturating_add(it.next_extra_seats.unwrap_or_default());
            plan.seats = plan.seats.min(seats);
        }
        Ok(Some(plan))
    }
}

/// The plan of a subscription: as it is in `catalogue` now, but no less than what was paid for.
pub(crate) async fn paid_plan(
    db: &mut PgConnection,
    catalogue: &Catalogue,
    subscription: &Subscription,
) -> Result<Plan> {
    let now = known(catalogue, &subscription.plan)?;
    let paid = CatalogueVersion::catalogue_of(db, subscription.catalogue_version).await?;
    Ok(paid.plan(&subscription.plan).map_or_else(|| now.clone(), |paid| now.no_less_than(paid)))
}

/// The dearer of two plans, with the seats that were bought for either; without any, the free one.
fn better(catalogue: &Catalogue, one: Option<Plan>, other: Option<Plan>) -> Plan {
    match (one, other) {
        (Some(one), Some(other)) => {
            let seats = one.seats.max(other.seats);
            let plan = if other.tier > one.tier { other } else { one };
            Plan { seats, ..plan }
        }
        (one, other) => one.or(other).unwrap_or_else(|| catalogue.free().clone()),
    }
}

/// A plan that somebody has is never lost from the catalogue.
fn known<'a>(catalogue: &'a Catalogue, plan: &str) -> Result<&'a Plan> {
    catalogue.plan(plan).ok_or_else(|| Error::UnknownItem { item: plan.to_owned() })
}

/// Orgs that are done in one go.
const BATCH: i64 = 500;

/// Entitles everybody again after the catalogue was changed: what is better now is there at once, what
/// is worse begins with the next period that is paid.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ApplyCatalogue {
    pub(crate) version: i32,
    /// Where the batch before this one ended.
    pub(crate) after: Option<Id<Org>>,
}

impl Job for ApplyCatalogue {
    const NAME: &'static str = "billing.apply_catalogue";
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        let db = &billing.db;
        if CatalogueVersion::newest(db.pool()).await?.version != self.version {
            return Ok(()); // A newer one has a job of its own.
        }
        let orgs = entitled_after(db.pool(), self.after).await?;
        for org in &orgs {
            let mut tx = db.begin().await?;
            subscription::lock(&mut tx, *org).await?;
            billing.entitle(&mut tx, *org, billing.clock.now()).await?;
            tx.commit().await?;
        }
        if let Some(last) = orgs.last().filter(|_| i64::try_from(orgs.len()) == Ok(BATCH)) {
            let mut tx = db.begin().await?;
            jobs::enqueue(&mut tx, &Self { after: Some(*last), ..self }).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

async fn entitled_after(
    db: impl PgExecutor<'_>,
    after: Option<Id<Org>>,
) -> sqlx::Result<Vec<Id<Org>>> {
    sqlx::query_scalar!(
        r#"select org_id as "org: _"
           from entitlements
           where $1::uuid is null or org_id > $1
           order by org_id
           limit $2"#,
        after.map(Id::uuid),
        BATCH,
    )
    .fetch_all(db)
    .await
}
