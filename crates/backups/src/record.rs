use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use sqlx::PgExecutor;

use crate::{Backup, Backups, Manifest};

/// How long what became of backups and drills is known.
const KEPT: TimeDelta = TimeDelta::days(400);

/// Takes note of an attempt to make a backup.
pub(crate) async fn begin(
    db: impl PgExecutor<'_>,
    id: Id<Backup>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!("insert into backups (id, started_at) values ($1, $2)", id as _, now)
        .execute(db)
        .await?;
    Ok(())
}

/// Takes note of what became of it: how long it is, or why there is none.
pub(crate) async fn end(
    db: impl PgExecutor<'_>,
    id: Id<Backup>,
    now: DateTime<Utc>,
    bytes: Option<u64>,
    error: Option<&str>,
) -> sqlx::Result<()> {
    let bytes = bytes.and_then(|bytes| i64::try_from(bytes).ok());
    sqlx::query!(
        "update backups set finished_at = $2, bytes = $3, error = $4 where id = $1",
        id as _,
        now,
        bytes,
        error,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets attempts and drills of long ago.
pub(crate) async fn forget(db: impl PgExecutor<'_> + Copy, now: DateTime<Utc>) -> sqlx::Result<()> {
    let limit = now - KEPT;
    sqlx::query!("delete from backups where started_at < $1", limit).execute(db).await?;
    sqlx::query!("delete from restore_drills where started_at < $1", limit).execute(db).await?;
    Ok(())
}

/// A backup that was restored for trial.
#[derive(Clone, Debug)]
pub struct Drill {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// What was wrong, or nothing.
    pub error: Option<String>,
}

impl Backups {
    /// The drill that began last.
    pub async fn last_drill(&self) -> sqlx::Result<Option<Drill>> {
        sqlx::query_as!(
            Drill,
            "select started_at, finished_at, error from restore_drills order by started_at desc limit 1",
        )
        .fetch_optional(self.db.pool())
        .await
    }

    /// Takes note of a drill with `backup`.
    pub async fn note_drill(&self, backup: &Manifest, drill: &Drill) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into restore_drills (id, backup_id, started_at, finished_at, error) values ($1, $2, $3, $4, $5)",
            Id::<Drill>::new() as _,
            backup.id as _,
            drill.started_at,
            drill.finished_at,
            drill.error,
        )
        .execute(self.db.pool())
        .await?;
        Ok(())
    }
}
