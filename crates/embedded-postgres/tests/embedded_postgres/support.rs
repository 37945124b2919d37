//! What the tests ask of servers, of processes and of each other.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use embedded_postgres::{Config, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tempfile::TempDir;

/// How long another process may take.
const PATIENCE: Duration = Duration::from_mins(3);
/// Names the root directory for the process of a user.
pub(crate) const USER_ROOT: &str = "EMBEDDED_POSTGRES_TEST_ROOT";

/// Another process that uses the server of a directory and has committed 42.
pub(crate) struct User(Child);

impl User {
    pub(crate) fn start(root: &TempDir) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_of_a_user", "--ignored", "--nocapture"])
            .env(USER_ROOT, root.path())
            // What a developer may have set for another server.
            .envs([("PGPORT", "1"), ("PGDATABASE", "other"), ("PGSSLMODE", "require")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "written"), "the user did not start");
        Self(child)
    }
}

pub(crate) fn kill(User(mut child): User) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

pub(crate) fn root() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) async fn start(root: &TempDir) -> Postgres {
    let config = Config { durable: false, ..Config::new(root.path()) };
    Postgres::start(config).await.unwrap()
}

pub(crate) async fn write(postgres: &Postgres, number: i32) {
    let mut db = postgres.options().connect().await.unwrap();
    run(&mut db, "create table if not exists numbers (number int)").await;
    run(&mut db, &format!("insert into numbers values ({number})")).await;
    db.close().await.unwrap();
}

pub(crate) async fn written(postgres: &Postgres) -> String {
    let mut db = postgres.options().connect().await.unwrap();
    ask(&mut db, "select string_agg(number::text, ',' order by number) from numbers").await
}

pub(crate) async fn server_of(postgres: &Postgres) -> String {
    let mut db = postgres.admin_options().connect().await.unwrap();
    ask(&mut db, "select current_setting('data_directory') || pg_postmaster_start_time()").await
}

pub(crate) async fn run(db: &mut PgConnection, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(db).await.unwrap();
}

pub(crate) async fn ask(db: &mut PgConnection, question: &str) -> String {
    sqlx::query(AssertSqlSafe(question.to_owned())).fetch_one(db).await.unwrap().get(0)
}

pub(crate) fn pid_file(root: &TempDir) -> PathBuf {
    root.path().join("data/postmaster.pid")
}

pub(crate) fn server_pid(root: &TempDir) -> u32 {
    fs::read_to_string(pid_file(root)).unwrap().lines().next().unwrap().parse().unwrap()
}

/// As a server leaves it that is killed while ready.
pub(crate) fn leave_pid_file(root: &TempDir, pid: u32) {
    let file = format!("{pid}\n/data\n0\n5432\n/run\n\n0 0\nready   \n");
    fs::write(pid_file(root), file).unwrap();
}

/// The living processes that name the directory: servers and watchdogs.
pub(crate) fn processes(root: &TempDir) -> Vec<(u32, String)> {
    let output = Command::new("ps").args(["-A", "-ww", "-o", "pid=,stat=,args="]).output().unwrap();
    let root = root.path().to_str().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains(root))
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (pid, state) = (fields.next()?, fields.next()?);
            (!state.starts_with('Z')).then(|| Some((pid.parse().ok()?, line.to_owned())))?
        })
        .collect()
}

pub(crate) fn group(pid: u32) -> String {
    let output = Command::new("ps").args(["-o", "pgid=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
