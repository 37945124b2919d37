//! Writes `.sqlx`: checks every query of the workspace against a real schema and keeps what it
//! learned, so that builds need no database. Run it as `just prepare` after changing a query or a
//! migration. It must not contain checked queries itself: it runs when theirs are out of date.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use embedded_postgres::{Config, Postgres};
use sqlx::{Connection, Executor, PgConnection, migrate::Migrator};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let config = Config { durable: false, ..Config::new(root.join("target/prepare-postgres")) };
    let postgres = Postgres::start(config).await?;
    let mut connection = PgConnection::connect_with(&postgres.options()).await?;
    connection.execute("drop schema public cascade; create schema public").await?;
    db::create_tenant_role(&mut connection).await?;
    let migrations = Migrator::new(root.join("migrations")).await?;
    migrations.run_direct(None, &mut connection, false).await?;
    connection.close().await?;

    let kept = root.join(".sqlx");
    fs::remove_dir_all(&kept).ok();
    fs::create_dir_all(&kept)?;
    for krate in fs::read_dir(root.join("crates"))? {
        touch(&krate?.path().join("src/lib.rs"))?;
    }
    let checked = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["check", "--workspace", "--all-targets"])
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &kept)
        .env("DATABASE_URL", postgres.url())
        .status()
        .context("run cargo check")?;
    postgres.stop().await?;
    ensure!(checked.success(), "the workspace does not compile against the migrated schema");
    Ok(())
}

/// Makes cargo look at the crate's queries again.
fn touch(file: &Path) -> anyhow::Result<()> {
    let file = fs::File::options().append(true).open(file).context("find the crate")?;
    file.set_modified(std::time::SystemTime::now())?;
    Ok(())
}
