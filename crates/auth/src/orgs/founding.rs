//! Making orgs, and how many of them somebody may have for nothing.

use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use sqlx::PgConnection;

use super::{MembershipRefused, org::Membership};
use crate::{Auth, Result, accounts::user};

/// How many orgs without a paid plan one person may own: each has free calls of its own.
pub(super) const FREE_ORGS: i64 = 3;

impl Auth {
    /// Makes an org that `user` owns, on the free plan.
    pub(super) async fn found_org(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        name: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Id<Org>> {
        let org = Membership::of_new_org(db, user, name, now).await?;
        quotas::entitle_new(db, org, &self.free, now).await?;
        Ok(org)
    }

    /// Makes the org that somebody has for themselves.
    pub(crate) async fn found_personal_org(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        name: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Id<Org>> {
        self.found_org(db, user, &format!("{name}'s organization"), now).await
    }
}

/// Refuses somebody one more org that nobody pays for. Holds their account until the transaction ends,
/// so that whatever makes them an owner is counted one at a time.
pub(super) async fn check_may_own_another(db: &mut PgConnection, user: Id<User>) -> Result<()> {
    user::User::lock(&mut *db, user).await?;
    let owned = sqlx::query_scalar!(
        r#"select count(*) as "count!"
           from memberships m
           join entitlements e on e.org_id = m.org_id and e.tier = 'free'
           where m.user_id = $1 and m.role = 'owner'"#,
        user as _,
    )
    .fetch_one(db)
    .await?;
    if owned < FREE_ORGS { Ok(()) } else { Err(MembershipRefused::TooManyOrgs.into()) }
}

/// Refuses to make somebody an owner of `org` if nobody pays for it and they own too many such.
pub(super) async fn check_may_own(
    db: &mut PgConnection,
    org: Id<Org>,
    user: Id<User>,
) -> Result<()> {
    let free = sqlx::query_scalar!(
        r#"select tier = 'free' as "free!" from entitlements where org_id = $1"#,
        org as _,
    )
    .fetch_optional(&mut *db)
    .await?;
    if free.unwrap_or(true) { check_may_own_another(db, user).await } else { Ok(()) }
}
