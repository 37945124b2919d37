use std::{path::Path, sync::OnceLock, time::Duration};

use embedded_postgres::{Config, Postgres};
use sqlx::postgres::PgConnectOptions;

/// One server per test run, shared by all test binaries and ended a few seconds after the last.
/// It lives in the target directory, so the next run starts warm.
pub(crate) fn server() -> PgConnectOptions {
    static SERVER: OnceLock<PgConnectOptions> = OnceLock::new();
    // Tests have a runtime each; the server's must outlive all of them.
    SERVER.get_or_init(|| std::thread::spawn(start).join().expect("Postgres starts")).clone()
}

fn start() -> PgConnectOptions {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let config = Config {
        durable: false,
        max_connections: 500,
        grace: Duration::from_secs(3),
        ..Config::new(target.join("test-postgres"))
    };
    let runtime = tokio::runtime::Runtime::new().expect("start a runtime");
    let postgres = runtime.block_on(Postgres::start(config)).expect("start Postgres");
    let options = postgres.options();
    // Both live until the process ends; the server notices that by itself.
    std::mem::forget((postgres, runtime));
    options
}
