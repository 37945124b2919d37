use std::net::IpAddr;

use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{Consent, Error, Policy, PolicyKind, Result};

/// A policy that counts now, and whether somebody accepted it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MyPolicy {
    /// The version.
    #[schema(value_type = String, format = Uuid)]
    id: Id<Policy>,
    /// What it is about.
    kind: PolicyKind,
    /// Counts from 1 in each kind.
    version: i32,
    /// From when on it counts.
    published_at: DateTime<Utc>,
    /// When you accepted it; null while it waits for that.
    accepted_at: Option<DateTime<Utc>>,
}

impl MyPolicy {
    pub(crate) async fn list(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select distinct on (p.kind) p.id as "id: _", p.kind as "kind: _", p.version,
                      p.published_at, a.accepted_at as "accepted_at?"
               from policies p
               left join policy_acceptances a on a.policy_id = p.id and a.user_id = $1
               order by p.kind, p.version desc"#,
            user as _,
        )
        .fetch_all(db)
        .await
    }
}

impl Consent {
    /// Notes that `user` accepts a version that counts now. Again, it changes nothing.
    pub(crate) async fn accept(
        &self,
        user: Id<User>,
        policy: Id<Policy>,
        ip: IpAddr,
        origin: &Origin,
    ) -> Result<Vec<MyPolicy>> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if !MyPolicy::list(&mut *tx, user).await?.iter().any(|it| it.id == policy) {
            Policy::get(&mut *tx, policy).await?;
            return Err(Error::Superseded);
        }
        let accepted = sqlx::query!(
            "insert into policy_acceptances (user_id, policy_id, accepted_at, ip)
             values ($1, $2, $3, $4)
             on conflict do nothing",
            user as _,
            policy as _,
            now,
            ip.to_string(),
        )
        .execute(&mut *tx)
        .await?;
        if accepted.rows_affected() == 1 {
            Entry::new(origin, None, "policy.accepted", policy).record(&mut tx, now).await?;
        }
        let all = MyPolicy::list(&mut *tx, user).await?;
        tx.commit().await?;
        Ok(all)
    }
}
