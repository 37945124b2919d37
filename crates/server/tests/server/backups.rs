//! Backups by command: drills, a product that starts on a restored copy, and a backup that is killed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use backups::Backups;
use serde_json::json;
use testing::{Database, TestApp};
use tokio::process::Command;

use crate::{
    commands::command,
    processes::{Process, chat, eventually},
};

const KEY: &str = "2VtGkYz0q1h8mXw5pQb7Rc3dNf6sJ9aL";

/// The version of `pg_dump`; `None`: this machine has none that fits the server.
pub(crate) async fn pg_dump(app: &TestApp) -> Option<u32> {
    let (db, clock, settings) = (app.db.clone(), app.clock.clone(), &app.settings);
    let address = app.database_options();
    let backups = Backups::new(db, clock, address, &settings.backups, &settings.storage).unwrap();
    let found = backups.programs().await;
    if let Err(error) = &found {
        eprintln!("SKIPPED: {error:#}");
    }
    found.ok()
}

fn with_backups(app: &TestApp, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = command(app, arguments);
    command.env("BACKUP_KEY", KEY).env("BACKUP_DIR", directory.join("backups"));
    command.env("OPENAI_API_KEY", "simulator").kill_on_drop(true);
    command
}

async fn run(app: &TestApp, directory: &Path, arguments: &[&str]) -> (bool, String) {
    let output = with_backups(app, directory, arguments).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

async fn last_drill(app: &TestApp) -> Option<String> {
    sqlx::query_scalar("select error from restore_drills order by started_at desc limit 1")
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

/// Fault 36.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_stands_the_drill_and_the_product_starts_on_it() {
    let app = TestApp::live().await;
    if pg_dump(&app).await.is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let first = app.owner().await;
    first.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let (done, made) = (AtomicBool::new(false), AtomicBool::new(false));
    let load = async {
        while !done.load(SeqCst) {
            let owner = app.owner().await;
            for _ in 0..5 {
                owner.post("/v1/chat/completions", chat(false)).await.ok();
            }
            made.store(true, SeqCst);
        }
    };
    let backup = async {
        eventually("there is load", async || made.load(SeqCst)).await;
        let result = run(&app, directory, &["backup"]).await;
        done.store(true, SeqCst);
        result
    };
    let ((), (passed, text)) = tokio::join!(load, backup);
    assert!(passed && text.contains("schema"), "{text}");
    app.assert_books_balance().await;

    let (passed, text) = run(&app, directory, &["restore-drill"]).await;
    assert!(passed && text.contains("The backup stands."), "{text}");
    assert_eq!(last_drill(&app).await, None);
    let scratch = "select count(*) from pg_database where datname like 'slipway_drill_%'";
    let left: i64 = sqlx::query_scalar(scratch).fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(left, 0, "the copy is dropped");

    let target = Database::new().await;
    let (passed, text) = run(&app, directory, &["restore", "--into", &target.url()]).await;
    assert!(!passed && text.contains("is not empty"), "{text}");
    let clear =
        "drop schema graphile_worker cascade; drop schema public cascade; create schema public;
                 grant usage on schema public to public";
    sqlx::raw_sql(clear).execute(&target.pool).await.unwrap();
    let (passed, text) = run(&app, directory, &["restore", "--into", &target.url()]).await;
    assert!(passed && text.contains("migrate up"), "{text}");
    let process = Process::with(&app, directory, &[("DATABASE_URL", target.url())]).await;
    let client = first.at(&process.url);
    assert_eq!(client.get("/v1/projects").await.ok()["items"][0]["name"], "Apollo");
    client.post("/v1/chat/completions", chat(false)).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_with_wrong_books_fails_the_drill_by_name() {
    let app = TestApp::live().await;
    if pg_dump(&app).await.is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (owner, operator) = (app.owner().await, app.operator().await);
    let gift = json!({ "credits": 10, "reason": "a gift", "reference": "1" });
    operator.post(&format!("/admin/v1/orgs/{}/grants", owner.org()), gift).await.ok();
    sqlx::query("update grants set spent = 3").execute(app.db.pool()).await.unwrap();
    assert!(run(&app, directory.path(), &["backup"]).await.0);

    let (passed, text) = run(&app, directory.path(), &["restore-drill"]).await;
    assert!(!passed && text.contains("does not stand the drill"), "{text}");
    assert!(text.contains("spent shows 3, should 0"), "{text}");
    assert!(last_drill(&app).await.unwrap().contains("rules are broken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_nothing_that_is_listed() {
    let app = TestApp::live().await;
    let Some(version) = pg_dump(&app).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // A pg_dump that has written more than is kept in memory, and never ends.
    let (programs, reached) = (directory.join("programs"), directory.join("reached"));
    fs::create_dir_all(&programs).unwrap();
    for program in ["pg_dump", "pg_restore"] {
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in --version) echo '{program} (PostgreSQL) {version}.0'; exit;; esac\n\
             head -c 80000000 /dev/urandom; touch '{}'\n\
             while sleep 0.1; do echo more; done\n",
            reached.display()
        );
        fs::write(programs.join(program), script).unwrap();
        fs::set_permissions(programs.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = with_backups(&app, directory, &["backup"]);
    let mut process = command.env("BACKUP_BIN_DIR", &programs).spawn().unwrap();
    eventually("the dump is under way", async || reached.exists()).await;
    process.start_kill().unwrap();
    process.wait().await.unwrap();

    let (passed, text) = run(&app, directory, &["backup", "list"]).await;
    assert!(passed && text.is_empty(), "{text}");
    let (passed, text) = run(&app, directory, &["backup", "check"]).await;
    assert!(!passed && text.contains("there is no backup"), "{text}");
    assert!(run(&app, directory, &["backup"]).await.0);
    let (passed, text) = run(&app, directory, &["backup", "list"]).await;
    assert!(passed && text.lines().count() == 1, "{text}");
    assert!(run(&app, directory, &["backup", "check"]).await.0);
}
