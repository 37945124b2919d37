use audit::{Actor, Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Operator;

use crate::{Billing, Error, Result, subscription};

/// A plan that operators gave to an org, whatever it pays for. The better of both is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanGrant {
    /// Which.
    #[schema(example = "pro")]
    pub plan: String,
    /// When it ends; absent: never.
    pub until: Option<DateTime<Utc>>,
    /// Why.
    pub reason: String,
    /// By whom.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub granted_by: Option<Id<Operator>>,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl PlanGrant {
    /// The one of `org` that is in force.
    pub async fn of(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select plan, until, reason, granted_by as "granted_by: _", created_at
               from plan_grants
               where org_id = $1 and (until is null or until > $2)"#,
            org as _,
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// Orgs whose grant has ended but is still there.
    pub(crate) async fn ended(
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Id<Org>>> {
        sqlx::query_scalar!(
            r#"select org_id as "org: _" from plan_grants where until <= $1 order by until"#,
            now,
        )
        .fetch_all(db)
        .await
    }

    async fn save(&self, db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into plan_grants (org_id, plan, until, reason, granted_by, created_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (org_id) do update
             set plan = excluded.plan, until = excluded.until, reason = excluded.reason,
                 granted_by = excluded.granted_by, created_at = excluded.created_at",
            org as _,
            self.plan,
            self.until,
            self.reason,
            self.granted_by as _,
            self.created_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    async fn remove(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<bool> {
        let removed = sqlx::query!("delete from plan_grants where org_id = $1", org as _);
        Ok(removed.execute(db).await?.rows_affected() == 1)
    }
}

impl Billing {
    /// Gives `org` a plan until a time, instead of any given before.
    pub async fn grant_plan(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        plan: &str,
        until: Option<DateTime<Utc>>,
        reason: &str,
        origin: &Origin,
    ) -> Result<PlanGrant> {
        let catalogue = self.catalogues.current().await?;
        if catalogue.catalogue.plan(plan).is_none() {
            return Err(Error::UnknownItem { item: plan.to_owned() });
        }
        let now = self.clock.now();
        subscription::lock(db, org).await?;
        let before = PlanGrant::of(&mut *db, org, now).await?;
        let granted_by = match origin.actor {
            Actor::Operator(id) => Some(id),
            _ => None,
        };
        let grant = PlanGrant {
            plan: plan.to_owned(),
            until,
            reason: reason.to_owned(),
            granted_by,
            created_at: now,
        };
        grant.save(db, org).await?;
        let entry = Entry::new(origin, Some(org), "plan.granted", plan);
        entry.before(json!(before)).after(json!(grant)).record(db, now).await?;
        self.entitle(db, org, now).await?;
        Ok(grant)
    }

    /// Takes it back; also what has ended by itself.
    pub async fn withdraw_plan(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        origin: &Origin,
    ) -> Result<()> {
        let now = self.clock.now();
        subscription::lock(db, org).await?;
        if PlanGrant::remove(db, org).await? {
            let entry = Entry::new(origin, Some(org), "plan.withdrawn", org);
            entry.record(db, now).await?;
            self.entitle(db, org, now).await?;
        }
        Ok(())
    }
}
