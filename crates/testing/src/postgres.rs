use std::{
    fs,
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
/// In a directory of ours in memory, the file that names the checkout whose it is.
const CHECKOUT: &str = "checkout";

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
    let checkout = env!("CARGO_MANIFEST_DIR");
    // One for each checkout and user.
    let ours = format!("slipway-tests-{}-", geteuid().as_raw());
    remove_abandoned(&ours);
    let id = hex::encode(&Sha256::digest(checkout)[..6]);
    let memory = Path::new(MEMORY).join(ours + &id);
    // What is there has its room.
    if !memory.join(CHECKOUT).exists() {
        if room() < ROOM || fs::create_dir_all(&memory).is_err() {
            return target.join("test-postgres");
        }
        fs::write(memory.join(CHECKOUT), checkout).expect("write to memory");
    }
    memory
}

/// Bytes that are free, both of the files in memory and of memory itself: the former may promise more than there is.
fn room() -> u64 {
    let files = statvfs(MEMORY).map_or(0, |it| it.f_bavail.saturating_mul(it.f_frsize));
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info.lines().find_map(|it| it.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    files.min(kib.unwrap_or_default() * 1024)
}

/// Removes what checkouts left that are gone: it would stay in memory until the machine starts anew.
fn remove_abandoned(ours: &str) {
    for directory in fs::read_dir(MEMORY).into_iter().flatten().flatten() {
        let checkout = fs::read_to_string(directory.path().join(CHECKOUT));
        if directory.file_name().to_string_lossy().starts_with(ours)
            && checkout.is_ok_and(|it| !Path::new(&it).exists())
        {
            // Another test may have been faster.
            let _ = fs::remove_dir_all(directory.path());
        }
    }
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
