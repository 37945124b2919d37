use std::process::Stdio;

use anyhow::Context;
use chrono::{DateTime, Utc};
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use crate::{
    Backup, Backups, Manifest,
    archive::Archive,
    record,
    tools::{Running, Tools},
};

/// Makes a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Take {}

impl Job for Take {
    const NAME: &'static str = "backups.take";
    const MAX_ATTEMPTS: i16 = 5;
    const SLOW: bool = true;
    type Context = Backups;

    async fn run(self, backups: Backups) -> anyhow::Result<()> {
        backups.take().await?;
        Ok(())
    }
}

/// Forgets backups that are too old: apart from making them, which must not begin anew because this fails.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prune {}

impl Job for Prune {
    const NAME: &'static str = "backups.prune";
    const MAX_ATTEMPTS: i16 = 5;
    type Context = Backups;

    async fn run(self, backups: Backups) -> anyhow::Result<()> {
        backups.prune().await?;
        Ok(())
    }
}

impl Backups {
    /// Makes a backup of the database as it is now.
    pub async fn take(&self) -> anyhow::Result<Manifest> {
        let archive = self.archive()?;
        let (id, started_at) = (Id::new(), self.clock.now());
        record::begin(self.db.pool(), id, started_at).await?;
        let outcome = self.dump(archive, id, started_at).await;
        let error = outcome.as_ref().err().map(|error| format!("{error:#}"));
        let bytes = outcome.as_ref().ok().map(|manifest| manifest.bytes);
        record::end(self.db.pool(), id, self.clock.now(), bytes, error.as_deref()).await?;
        if let Ok(Manifest { bytes, .. }) = outcome {
            tracing::info!(%id, bytes, "backup made");
        }
        outcome
    }

    async fn dump(
        &self,
        archive: &Archive,
        id: Id<Backup>,
        started_at: DateTime<Utc>,
    ) -> anyhow::Result<Manifest> {
        let (postgres, migration) = about(self.db.pool()).await?;
        let tools = Tools::of(&self.config, postgres).await?;
        let mut command = tools.command("pg_dump", &self.address);
        // Waiting for a migration's lock would make everybody wait who comes later.
        command.args(["--format=custom", "--lock-wait-timeout=60s"]).stdout(Stdio::piped());
        let mut dump = Running::start(&mut command)?;
        let text = dump.child.stdout.take().context("it was given a pipe")?;
        let complete = async { dump.succeeded().await.context("pg_dump") };
        let written = archive.write(id, text, complete).await?;
        let manifest = Manifest {
            id,
            started_at,
            finished_at: self.clock.now(),
            bytes: written.bytes,
            sha256: written.sha256,
            postgres,
            pg_dump: tools.major,
            migration,
        };
        archive.publish(&manifest).await?;
        Ok(manifest)
    }

    /// The version of `pg_dump` and `pg_restore`; fails with what to install if none fit the server.
    pub async fn programs(&self) -> anyhow::Result<u32> {
        let (postgres, _) = about(self.db.pool()).await?;
        Ok(Tools::of(&self.config, postgres).await?.major)
    }

    /// Every backup, the newest first. Asks the store, not the database.
    pub async fn list(&self) -> anyhow::Result<Vec<Manifest>> {
        self.archive()?.list().await
    }

    /// The backup with this id, or else the newest.
    pub async fn find(&self, id: Option<Id<Backup>>) -> anyhow::Result<Manifest> {
        let archive = self.archive()?;
        let found = match id {
            Some(id) => archive.get(id).await?.with_context(|| format!("no backup {id}")),
            None => archive.list().await?.into_iter().next().context("there is no backup"),
        };
        found.context("`slipway backup list` shows all")
    }

    /// Reads a backup to its end: fails if a bit of it is wrong, or the key.
    pub async fn check(&self, manifest: &Manifest) -> anyhow::Result<()> {
        self.archive()?.read(manifest, async |_| Ok(())).await
    }

    pub(crate) fn archive(&self) -> anyhow::Result<&Archive> {
        self.archive.as_ref().context(
            "BACKUP_KEY is not set, so there are no backups: set it to what `openssl rand -base64 32` prints, and \
             keep a copy away from the deployment",
        )
    }
}

/// The server's major version and the newest migration.
async fn about(db: impl PgExecutor<'_>) -> sqlx::Result<(u32, i64)> {
    let (version, migration): (i32, i64) = sqlx::query_as(
        "select current_setting('server_version_num')::int / 10000,
                coalesce((select max(version) from _sqlx_migrations where success), 0)",
    )
    .fetch_one(db)
    .await?;
    Ok((version.unsigned_abs(), migration))
}
