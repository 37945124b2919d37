use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::Export;
use crate::Privacy;

/// For how long it can be seen that there was one.
const REMAINS: TimeDelta = TimeDelta::days(90);
/// What is not made by then never will be: its job has used up its attempts.
const LOST: TimeDelta = TimeDelta::hours(12);

/// Removes archives whose time is over, and gives up what nobody makes any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeExports {}

impl Job for PurgeExports {
    const NAME: &'static str = "privacy.purge_exports";
    type Context = Privacy;

    async fn run(self, privacy: Privacy) -> anyhow::Result<()> {
        let (db, now) = (privacy.db.pool(), privacy.clock.now());
        let over = sqlx::query_scalar!(
            r#"select id as "id: Id<Export>" from data_exports
               where (status = 'ready' and expires_at <= $1)
                  or (status = 'queued' and created_at < $2)"#,
            now,
            now - LOST,
        )
        .fetch_all(db)
        .await?;
        for id in over {
            let Some(export) = Export::find(db, id).await? else { continue };
            privacy.storage.delete(&export.key()).await?;
            export.give_up(db, now).await?;
        }
        sqlx::query!("delete from data_exports where finished_at < $1", now - REMAINS)
            .execute(db)
            .await?;
        Ok(())
    }
}

impl Export {
    /// Says that it cannot be had any more, or never could.
    pub(super) async fn give_up(
        &self,
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update data_exports
             set status = case status when 'ready' then 'expired' else 'failed' end,
                 finished_at = coalesce(finished_at, $2)
             where id = $1 and status in ('queued', 'ready')",
            self.id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
