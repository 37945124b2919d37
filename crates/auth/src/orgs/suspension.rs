use audit::{Entry, Origin};
use kernel::{Id, Org, User};
use serde_json::json;

use crate::{Auth, Result};

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
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        entry.after(json!({ "reason": reason })).record(&mut tx, now).await?;
        tx.commit().await?;
        self.db.changes().note(org);
        Ok(true)
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
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        Entry::new(origin, Some(org), "org.unsuspended", org)
            .record(&mut tx, self.clock.now())
            .await?;
        tx.commit().await?;
        self.db.changes().note(org);
        Ok(true)
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
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "update sessions set revoked_at = $2 where user_id = $1 and revoked_at is null",
            user as _,
            now,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, None, "user.suspended", user);
        entry.after(json!({ "reason": reason })).record(&mut tx, now).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(true)
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
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        let entry = Entry::new(origin, None, "user.unsuspended", user);
        entry.record(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(true)
    }
}
