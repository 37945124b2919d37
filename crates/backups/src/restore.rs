use std::process::Stdio;

use anyhow::{Context, ensure};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::io::AsyncWriteExt;

use crate::{
    Backups, Manifest,
    tools::{Running, Tools},
};

impl Backups {
    /// Fills the empty database at `target` with a backup: all of it or nothing.
    pub async fn restore(
        &self,
        manifest: &Manifest,
        target: &PgConnectOptions,
    ) -> anyhow::Result<()> {
        let archive = self.archive()?;
        let connection = target.clone().application_name("slipway backup").connect().await;
        let mut db = connection.context("cannot connect to the database to restore into")?;
        ensure_empty(&mut db).await?;
        db::create_tenant_role(&mut db).await?;
        let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut db)
            .await?;
        let server = version.unsigned_abs() / 10_000;
        let tools = Tools::of(&self.config, server.max(manifest.pg_dump)).await?;
        let mut command = tools.command("pg_restore", target);
        let database = target.get_database().unwrap_or(target.get_username());
        command
            .args(["--single-transaction", "--exit-on-error", "--no-owner", "--dbname", database])
            .stdin(Stdio::piped());
        let mut restore = Running::start(&mut command)?;
        let mut text = restore.child.stdin.take().context("it was given a pipe")?;
        let mut refused = false;
        let read = archive.read(manifest, async |piece| {
            // It says why when it is waited for; reading on proves the rest.
            refused = refused || text.write_all(&piece).await.is_err();
            Ok(())
        });
        if let Err(error) = read.await {
            // Before it learns of the end, which would make it commit what it has.
            restore.kill().await;
            return Err(error);
        }
        drop(text);
        restore.succeeded().await.context("pg_restore")?;
        // The planner knows nothing of what was restored.
        sqlx::query("analyze").execute(&mut db).await?;
        Ok(())
    }
}

/// Restoring over data would mix two histories.
async fn ensure_empty(db: &mut PgConnection) -> anyhow::Result<()> {
    let tables: i64 = sqlx::query_scalar(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm', 'S')
           and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'",
    )
    .fetch_one(db)
    .await?;
    ensure!(tables == 0, "the database to restore into is not empty; make a new one");
    Ok(())
}
