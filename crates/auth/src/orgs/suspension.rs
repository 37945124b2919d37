use audit::{Entry, Origin};
use db::{Subject, Tx};
use kernel::{Id, Org, User};
use serde_json::json;
use sqlx::postgres::PgQueryResult;

use crate::{Auth, Result, Session};

/// Operators decide; who is meant notices within a second, on every instance.
impl Auth {
    /// Closes `org`: no person and no key acts in it any more. Answers whether there is such an org.
    pub async fn suspend_org(&self, org: Id<Org>, reason: &str, origin: &Origin) -> Result<bool> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let found = sqlx::query!(
            "update orgs set suspended_at = coalesce(suspended_at, $2), suspension_reason = $3
             where id = $1",
            org as _,
            now,
            reason,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, Some(org), "org.suspended", org);
        self.decided(tx, &found, entry.after(json!({ "reason": reason })), org).await
    }

    /// Opens `org` again. Answers whether it was suspended.
    pub async fn unsuspend_org(&self, org: Id<Org>, origin: &Origin) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let found = sqlx::query!(
            "update orgs set suspended_at = null, suspension_reason = null
             where id = $1 and suspended_at is not null",
            org as _,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, Some(org), "org.unsuspended", org);
        self.decided(tx, &found, entry, org).await
    }

    /// Closes an account: its sessions end for good, its keys rest. Answers whether there is one.
    pub async fn suspend_user(
        &self,
        user: Id<User>,
        reason: &str,
        origin: &Origin,
    ) -> Result<bool> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let found = sqlx::query!(
            "update users set disabled_at = coalesce(disabled_at, $2), suspension_reason = $3
             where id = $1",
            user as _,
            now,
            reason,
        )
        .execute(&mut *tx)
        .await?;
        Session::revoke_all(&mut tx, user, None, now).await?;
        let entry = Entry::new(origin, None, "user.suspended", user);
        self.decided(tx, &found, entry.after(json!({ "reason": reason })), user).await
    }

    /// Opens an account again. Answers whether it was suspended.
    pub async fn unsuspend_user(&self, user: Id<User>, origin: &Origin) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let found = sqlx::query!(
            "update users set disabled_at = null, suspension_reason = null
             where id = $1 and disabled_at is not null",
            user as _,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, None, "user.unsuspended", user);
        self.decided(tx, &found, entry, user).await
    }

    /// Writes down what was decided, and makes it known; `false`: it concerns nobody.
    async fn decided(
        &self,
        mut tx: Tx,
        found: &PgQueryResult,
        entry: Entry<'_>,
        whom: impl Into<Subject>,
    ) -> Result<bool> {
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        entry.record(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        self.db.changes().note(whom);
        Ok(true)
    }
}
