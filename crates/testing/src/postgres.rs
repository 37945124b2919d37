use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use embedded_postgres::{Config, Postgres};
use rustix::{fs::statvfs, process::geteuid};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;

/// Files that are in memory, on Linux.
const MEMORY: &str = "/dev/shm";
/// How much of it must be free, in bytes: several times what the databases of tests need.
const ROOM: u64 = 4 << 30;

/// One server per test run, shared by all test binaries and ended a few seconds after the last.
/// It leaves its files, so the next run starts warm.
pub(crate) fn server() -> PgConnectOptions {
    static SERVER: OnceLock<PgConnectOptions> = OnceLock::new();
    // Tests have a runtime each; the server's must outlive all of them.
    SERVER.get_or_init(|| std::thread::spawn(start).join().expect("Postgres starts")).clone()
}

/// In memory if there is room, else in the target directory. Each test makes and drops a database of a thousand
/// files, which is a third of all the work where a disk has to find room for them.
fn root() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let room = statvfs(MEMORY).map_or(0, |it| it.f_bavail.saturating_mul(it.f_frsize));
    if room < ROOM {
        return target.join("test-postgres");
    }
    // One for each checkout and user.
    let checkout = hex::encode(&Sha256::digest(env!("CARGO_MANIFEST_DIR"))[..6]);
    Path::new(MEMORY).join(format!("slipway-tests-{}-{checkout}", geteuid().as_raw()))
}

fn start() -> PgConnectOptions {
    let config = Config {
        durable: false,
        max_connections: 500,
        grace: Duration::from_secs(3),
        ..Config::new(root())
    };
    let runtime = tokio::runtime::Runtime::new().expect("start a runtime");
    let postgres = runtime.block_on(Postgres::start(config)).expect("start Postgres");
    let options = postgres.options();
    // Both live until the process ends; the server notices that by itself.
    std::mem::forget((postgres, runtime));
    options
}
