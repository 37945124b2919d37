use audit::{Entry, Origin};
use chrono::TimeDelta;
use jobs::Enqueue;
use kernel::{Id, User};

use super::{Export, ExportStatus, MakeExport};
use crate::{Error, Privacy, Result, subject::Subject};

/// A copy reads everything; more often than this nobody needs one.
const EVERY: TimeDelta = TimeDelta::days(1);

impl Privacy {
    /// Has a copy made for `user`, who is told by mail when it is ready.
    pub(crate) async fn request_export(
        &self,
        user: Id<User>,
        subject: Subject,
        origin: &Origin,
    ) -> Result<Export> {
        let now = self.clock.now();
        let org_id = match subject {
            Subject::Person(_) => None,
            Subject::Org(org) => Some(org),
        };
        let mut tx = self.db.begin().await?;
        // One at a time asks, so that one a day is one a day.
        sqlx::query!("select from users where id = $1 for no key update", user as _)
            .execute(&mut *tx)
            .await?;
        let last = sqlx::query_scalar!(
            r#"select max(created_at) from data_exports
               where user_id = $1 and org_id is not distinct from $2 and status <> 'failed'"#,
            user as _,
            org_id as _,
        )
        .fetch_one(&mut *tx)
        .await?;
        if let Some(wait) = last.map(|last| last + EVERY - now).filter(|it| *it > TimeDelta::zero())
        {
            return Err(Error::TooSoon(wait));
        }
        let export = Export {
            id: Id::new(),
            user_id: user,
            org_id,
            status: ExportStatus::Queued,
            bytes: None,
            created_at: now,
            finished_at: None,
            expires_at: None,
        };
        sqlx::query!(
            "insert into data_exports (id, user_id, org_id, status, created_at)
             values ($1, $2, $3, 'queued', $4)",
            export.id as _,
            user as _,
            org_id as _,
            now,
        )
        .execute(&mut *tx)
        .await?;
        Entry::new(origin, org_id, "export.requested", export.id).record(&mut tx, now).await?;
        Enqueue::new(&MakeExport { export: export.id }).send(&mut tx).await?;
        tx.commit().await?;
        Ok(export)
    }
}
