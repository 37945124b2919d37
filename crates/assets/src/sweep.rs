//! What nobody needs any more, found by looking for it: nothing else has to go right for it to be removed.

use std::{collections::HashSet, future::ready, pin::pin, time::Duration};

use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};
use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use storage::{Key, Object};
use uuid::Uuid;

use crate::{Asset, Assets, Status, Upload, erase::EraseAsset};

/// Rows that are looked at in one go.
const BATCH: u16 = 500;
/// How long the row of an upload that has ended is kept, so that its completion can be asked for again.
const KEPT: TimeDelta = TimeDelta::days(1);
/// How old an object without a row is removed: its row may be about to be written.
const ORPHANED: TimeDelta = TimeDelta::days(1);
/// How long the erasure of a deleted file may take before it is queued again.
const OVERDUE: TimeDelta = TimeDelta::hours(6);

/// Ends uploads that nobody completed in time, and forgets those that ended long ago.
#[derive(Serialize, Deserialize)]
pub(crate) struct ExpireUploads {}

impl Job for ExpireUploads {
    const NAME: &'static str = "assets.expire_uploads";
    type Context = Assets;

    async fn run(self, assets: Assets) -> anyhow::Result<()> {
        assets.expire_uploads().await?;
        sqlx::query!(
            "delete from uploads where status <> 'open' and ended_at < $1",
            assets.clock.now() - KEPT,
        )
        .execute(assets.db.pool())
        .await?;
        Ok(assets.erase_again().await?)
    }
}

/// Removes objects that no row tells of, which a crash between the two leaves.
#[derive(Serialize, Deserialize)]
pub(crate) struct RemoveOrphans {}

impl Job for RemoveOrphans {
    const NAME: &'static str = "assets.remove_orphans";
    const SLOW: bool = true;
    type Context = Assets;

    async fn run(self, assets: Assets) -> anyhow::Result<()> {
        let old = Duration::from_secs(ORPHANED.num_seconds().unsigned_abs());
        let unfinished = assets.storage.remove_leftovers(old).await?;
        let orphans = assets.remove_orphans().await?;
        if unfinished + orphans > 0 {
            tracing::info!(unfinished, orphans, "removed files that belonged to nothing");
        }
        for wrong in crate::differences(assets.db.pool()).await? {
            tracing::error!(?wrong, "an organization's storage is counted wrongly");
        }
        Ok(())
    }
}

impl Assets {
    async fn expire_uploads(&self) -> crate::Result<()> {
        loop {
            let due = sqlx::query!(
                r#"select id as "id: Id<Upload>", org_id as "org: Id<Org>" from uploads
                   where status = 'open' and expires_at <= $1 order by expires_at limit $2"#,
                self.clock.now(),
                i64::from(BATCH),
            );
            let due = due.fetch_all(self.db.pool()).await?;
            for upload in &due {
                self.end(upload.org, upload.id, Status::Expired).await?;
            }
            if due.len() < usize::from(BATCH) {
                return Ok(());
            }
        }
    }

    /// Queues the erasure of deleted files whose jobs were given up.
    async fn erase_again(&self) -> sqlx::Result<()> {
        let overdue = sqlx::query!(
            r#"select id as "id: Id<Asset>", org_id as "org: Id<Org>" from assets
               where deleted_at < $1 order by deleted_at limit $2"#,
            self.clock.now() - OVERDUE,
            i64::from(BATCH),
        );
        let overdue = overdue.fetch_all(self.db.pool()).await?;
        let mut jobs: Vec<_> = overdue
            .into_iter()
            .map(|it| (format!("assets.erase:{}", it.id), EraseAsset { org: it.org, asset: it.id }))
            .collect();
        jobs.sort_by(|one, other| one.0.cmp(&other.0));
        jobs::enqueue_all(&mut *self.db.pool().acquire().await?, &jobs).await
    }

    /// Answers how many there were.
    async fn remove_orphans(&self) -> anyhow::Result<u64> {
        let limit = self.clock.now() - ORPHANED;
        let listed = self.storage.list(&Key::all_orgs());
        let mut old = pin!(listed.try_filter(|it| ready(it.modified < limit)).peekable());
        let mut removed = 0;
        while old.as_mut().peek().await.is_some() {
            let objects: Vec<Object> = old.by_ref().take(BATCH.into()).try_collect().await?;
            let needed = self.needed(&objects).await?;
            for object in objects {
                if needed.wants(&object) == Some(false) {
                    self.storage.delete(&object.key).await?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// What rows tell of those to which objects belong.
    async fn needed(&self, objects: &[Object]) -> sqlx::Result<Needed> {
        let (orgs, ids): (Vec<_>, Vec<_>) =
            objects.iter().filter_map(|it| it.key.names()).map(|it| (it.0.uuid(), it.2)).unzip();
        let ids = sqlx::query_scalar!(
            r#"select id as "id!" from assets where id = any($1)
               union all
               select id from uploads where id = any($1) and status = 'open'"#,
            &ids,
        );
        let orgs = sqlx::query_scalar!("select id from orgs where id = any($1)", &orgs);
        Ok(Needed {
            ids: ids.fetch_all(self.db.pool()).await?.into_iter().collect(),
            orgs: orgs.fetch_all(self.db.pool()).await?.into_iter().collect(),
        })
    }
}

/// What of a number of objects the database tells.
struct Needed {
    /// Of those that are needed.
    ids: HashSet<Uuid>,
    /// Of orgs that are known.
    orgs: HashSet<Uuid>,
}

impl Needed {
    /// Whether `object` is needed. `None`: it is not ours to decide. An org that is not known is that of another
    /// database over the same storage, or of one that was restored to an earlier time.
    fn wants(&self, object: &Object) -> Option<bool> {
        let (org, kind, id) = object.key.names()?;
        let ours = ["assets", "thumbnails", "uploads"].contains(&kind.as_str());
        (ours && self.orgs.contains(&org.uuid())).then(|| self.ids.contains(&id))
    }
}
