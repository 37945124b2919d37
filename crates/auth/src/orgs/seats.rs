use kernel::{Id, Org};
use sqlx::PgConnection;

use super::MembershipRefused;
use crate::Result;

/// The places that an org's plan has for people. Invitations take none until they are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seats {
    /// How many people there are.
    pub taken: i64,
    /// How many there may be.
    pub total: i64,
}

impl Seats {
    /// Those of `org`.
    pub async fn of(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"select (select seats from entitlements where org_id = $1) as total,
                      (select count(*) from memberships where org_id = $1) as "taken!""#,
            org as _,
        )
        .fetch_one(db)
        .await?;
        Ok(Self { taken: row.taken, total: row.total.unwrap_or(1) })
    }

    /// The same, and until the transaction ends nobody changes how many there may be: so a plan with
    /// fewer seats and one more member cannot miss each other.
    pub(super) async fn lock(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<Self> {
        sqlx::query_scalar!(
            "select 1 as one from entitlements where org_id = $1 for share",
            org as _,
        )
        .fetch_optional(&mut *db)
        .await?;
        Self::of(db, org).await
    }

    /// Refuses when all are taken.
    pub(super) fn check(self) -> Result<()> {
        if self.taken < self.total { Ok(()) } else { Err(MembershipRefused::NoSeat.into()) }
    }
}
