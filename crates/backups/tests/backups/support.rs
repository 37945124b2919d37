use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use backups::{Backups, Config, Manifest};
use secrecy::SecretString;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tempfile::TempDir;
use testing::{Database, TestApp};

pub(crate) const KEY: &str = "2VtGkYz0q1h8mXw5pQb7Rc3dNf6sJ9aL";

/// The product, and a place for its backups.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) config: Config,
    directory: TempDir,
}

impl World {
    /// `None`: this machine has no `pg_dump` that fits the server.
    pub(crate) async fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let app = TestApp::start().await;
        let config = config(directory.path());
        let world = Self { app, config, directory };
        if let Err(error) = world.backups().programs().await {
            eprintln!("SKIPPED: {error:#}");
            return None;
        }
        Some(world)
    }

    /// Backups as the product makes them, with settings of the test's own.
    pub(crate) fn backups_with(&self, adjust: impl FnOnce(&mut Config)) -> Backups {
        let mut config = self.config.clone();
        adjust(&mut config);
        let (db, clock) = (self.app.db.clone(), self.app.clock.clone());
        Backups::new(db, clock, self.app.database_options(), &config, &self.app.settings.storage)
            .unwrap()
    }

    pub(crate) fn backups(&self) -> Backups {
        self.backups_with(|_| {})
    }

    /// Where the objects are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.directory.path().join("backups/platform/backups")
    }

    pub(crate) fn dump_of(&self, manifest: &Manifest) -> PathBuf {
        self.folder().join(format!("{}.dump", manifest.id))
    }

    /// So much that a dump has many segments, and that it cannot be made small.
    pub(crate) async fn fill(&self) {
        let fill = "create table filling as
                    select n, md5(n::text || 'a') || md5(n::text || 'b') as text from generate_series(1, 20000) n";
        sqlx::raw_sql(fill).execute(self.app.db.pool()).await.unwrap();
    }

    /// A directory with programs that do what the test says.
    pub(crate) fn programs(&self, version: &str, pg_dump: &str) -> PathBuf {
        let directory = self.directory.path().join(format!("programs-{version}"));
        fs::create_dir_all(&directory).unwrap();
        for (program, does) in [("pg_dump", pg_dump), ("pg_restore", "exit 9")] {
            let script = format!(
                "#!/bin/sh\ncase \"$1\" in --version) echo '{program} (PostgreSQL) {version}'; exit;; esac\n{does}\n"
            );
            let file = directory.join(program);
            fs::write(&file, script).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        directory
    }
}

pub(crate) fn config(directory: &Path) -> Config {
    Config {
        backup_key: Some(SecretString::from(KEY)),
        backup_key_previous: None,
        backup_bucket: None,
        backup_dir: directory.join("backups"),
        backup_every_hours: 24,
        backup_keep_days: 30,
        backup_keep_least: 2,
        backup_bin_dir: None,
    }
}

/// A database with nothing in it.
pub(crate) async fn empty() -> Database {
    let database = Database::new().await;
    let clear =
        "drop schema graphile_worker cascade; drop schema public cascade; create schema public;
                 grant usage on schema public to public";
    sqlx::raw_sql(clear).execute(&database.pool).await.unwrap();
    database
}

/// Every table and a digest of its rows.
pub(crate) async fn contents(options: PgConnectOptions) -> Vec<(String, Option<String>)> {
    let pool = PgPool::connect_with(options).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname in ('public', 'graphile_worker') and c.relname <> 'backups'
         order by 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut contents = Vec::new();
    for table in tables {
        let digest =
            format!("select md5(string_agg(t::text, e'\\n' order by t::text)) from {table} t");
        let digest =
            sqlx::query_scalar(sqlx::AssertSqlSafe(digest)).fetch_one(&pool).await.unwrap();
        contents.push((table, digest));
    }
    pool.close().await;
    contents
}
