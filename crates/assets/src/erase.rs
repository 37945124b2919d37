//! Erasing what is no longer needed, after the transaction that says so.

use jobs::{Enqueue, Job};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{Asset, Assets, Upload, links::PART_LIFE, thumbnail};

/// Erases a file that was deleted.
#[derive(Serialize, Deserialize)]
pub(crate) struct EraseAsset {
    pub(crate) org: Id<Org>,
    pub(crate) asset: Id<Asset>,
}

impl Job for EraseAsset {
    const NAME: &'static str = "assets.erase";
    type Context = Assets;

    async fn run(self, assets: Assets) -> anyhow::Result<()> {
        let Self { org, asset } = self;
        if Asset::find(assets.db.pool(), org, asset).await?.is_some() {
            return Ok(());
        }
        // The row last: as long as it is there, somebody knows that there is something to erase.
        assets.storage.delete(&Asset::key(org, asset)).await?;
        assets.storage.delete(&thumbnail::key(org, asset)).await?;
        sqlx::query!(
            "delete from assets where id = $1 and org_id = $2 and deleted_at is not null",
            asset as _,
            org as _,
        )
        .execute(assets.db.pool())
        .await?;
        Ok(())
    }
}

/// Erases the parts of an upload that has ended.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClearUpload {
    pub(crate) org: Id<Org>,
    pub(crate) upload: Id<Upload>,
}

impl ClearUpload {
    /// Queues it for when the transaction is over, and once more for when no link that was made can send a part.
    pub(crate) async fn queue(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        jobs::enqueue(&mut *db, self).await?;
        Enqueue::new(self).after(PART_LIFE).send(db).await?;
        Ok(())
    }
}

impl Job for ClearUpload {
    const NAME: &'static str = "assets.clear_upload";
    type Context = Assets;

    async fn run(self, assets: Assets) -> anyhow::Result<()> {
        assets.storage.delete_all(&Upload::key(self.org, self.upload)).await?;
        Ok(())
    }
}
