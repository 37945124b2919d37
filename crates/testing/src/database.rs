use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use kernel::Clock;
use sha2::{Digest, Sha256};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;

use crate::postgres;

/// A fresh, migrated database that is dropped with this value.
pub struct Database {
    /// Connections as the application makes them: owner of the database, no superuser.
    pub pool: PgPool,
    /// Its address, for a second pool or another process.
    pub options: PgConnectOptions,
    name: String,
}

impl Database {
    /// Copies the migrated template, which takes milliseconds.
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = postgres::server();
        let template = template(&server).await;
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&server, "postgres").await;
        // A run that was killed may have left one, under a number that processes have by turns.
        execute(&mut admin, format!("drop database if exists {name} with (force)")).await;
        // Files are copied, not logged: a quarter less work.
        let create = format!("create database {name} template {template} strategy file_copy");
        execute(&mut admin, create).await;
        let options = server.database(&name);
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        Self { pool, options, name }
    }

    /// Its address as a URL, for the settings of another process.
    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (name, server) = (self.name.clone(), postgres::server());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("start a runtime").block_on(async {
                let mut admin = connect(&server, "postgres").await;
                execute(&mut admin, format!("drop database if exists {name} with (force)")).await;
            });
        });
        // A failure here must not hide the test's own.
        let _ = dropped.join();
    }
}

/// The name of the database that every test's is copied from, made once per state of the schema.
async fn template(server: &PgConnectOptions) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE.get_or_init(|| make_template(server)).await
}

async fn make_template(server: &PgConnectOptions) -> String {
    let name = format!("template_{}", fingerprint());
    let mut admin = connect(server, "postgres").await;
    execute(&mut admin, "select pg_advisory_lock(1)".into()).await;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .expect("look for the template");
    if !exists {
        let making = format!("{name}_making");
        execute(&mut admin, format!("drop database if exists {making} with (force)")).await;
        execute(&mut admin, format!("create database {making}")).await;
        let pool = PgPool::connect_lazy_with(server.clone().database(&making));
        server::prepare_database(&pool, Clock::System.now()).await.expect("migrate the template");
        pool.close().await;
        execute(&mut admin, format!("alter database {making} rename to {name}")).await;
        drop_others(&mut admin, &name).await;
    }
    admin.close().await.expect("unlock");
    name
}

/// Drops templates of other states of the schema, unless somebody is copying one.
async fn drop_others(admin: &mut PgConnection, name: &str) {
    let others =
        "select datname from pg_database where datname like 'template\\_%' and datname <> $1";
    let others: Vec<String> = sqlx::query_scalar(others)
        .bind(name)
        .fetch_all(&mut *admin)
        .await
        .expect("look for others");
    for other in others {
        let _ = admin.execute(AssertSqlSafe(format!("drop database {other}"))).await;
    }
}

/// Changes with anything that the template is made from.
fn fingerprint() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut hash = Sha256::new();
    for migration in db::MIGRATOR.iter() {
        hash.update(migration.version.to_be_bytes());
        hash.update(&migration.checksum);
    }
    for file in ["crates/usage/price_book.toml", "Cargo.lock"] {
        hash.update(fs::read(root.join(file)).unwrap_or_default());
    }
    hex::encode(&hash.finalize()[..8])
}

async fn connect(server: &PgConnectOptions, database: &str) -> PgConnection {
    let options = server.clone().database(database);
    options.connect().await.expect("connect to the test server")
}

async fn execute(db: &mut PgConnection, statement: String) {
    db.execute(AssertSqlSafe(statement)).await.expect("prepare a test database");
}
