use std::{fs, path::Path};

use chrono::TimeDelta;
use testing::TestApp;

use crate::support::{assert_counted, begin, complete, content, program, send, uploaded, used};

/// Queues what the clock would.
async fn run(app: &TestApp, job: &str) {
    sqlx::query("select graphile_worker.add_job($1, '{\"job\": {}}'::json)")
        .bind(job)
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

fn stored(app: &TestApp) -> Vec<String> {
    files(&app.settings.storage.storage_dir.join("orgs"))
}

#[tokio::test]
async fn an_upload_that_nobody_completes_ends_after_a_day_and_is_erased() {
    let app = TestApp::start().await;
    let owner = program(&app.owner().await).await;
    let id = begin(&owner, "text/plain", 5).await;
    send(&owner, &id, 1, b"hello").await.ok();
    app.advance(TimeDelta::hours(23));
    run(&app, "assets.expire_uploads").await;
    assert_eq!((used(&owner).await, stored(&app).len()), (5, 1));
    app.advance(TimeDelta::hours(1));
    assert_eq!(complete(&owner, &id).await.problem(), (409, "upload_ended".into()));
    run(&app, "assets.expire_uploads").await;
    assert_eq!((used(&owner).await, stored(&app).len()), (0, 0));
    let path = format!("/v1/uploads/{id}");
    assert_eq!(owner.get(&path).await.ok()["status"], "expired");
    app.advance(TimeDelta::hours(25));
    run(&app, "assets.expire_uploads").await;
    assert_eq!(owner.get(&path).await.problem(), (404, "upload_not_found".into()));
    assert_counted(&app).await;
}

#[tokio::test]
async fn parts_of_a_completed_upload_and_deleted_files_are_erased() {
    let app = TestApp::start().await;
    let owner = program(&app.owner().await).await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    assert_eq!(stored(&app).len(), 2);
    app.run_jobs().await;
    assert_eq!(stored(&app).len(), 1);
    owner.delete(&format!("/v1/assets/{asset}")).await;
    app.run_jobs().await;
    assert_eq!(stored(&app), [""; 0]);
    let left: i64 =
        sqlx::query_scalar("select count(*) from assets").fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_erasure_whose_job_was_lost_is_done_all_the_same() {
    let app = TestApp::start().await;
    let owner = program(&app.owner().await).await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    owner.delete(&format!("/v1/assets/{asset}")).await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(app.db.pool()).await.unwrap();
    app.advance(TimeDelta::hours(7));
    run(&app, "assets.expire_uploads").await;
    assert!(!stored(&app).iter().any(|it| it.contains(&asset)));
}

#[tokio::test]
async fn objects_that_belong_to_nothing_are_removed_and_nothing_else() {
    let app = TestApp::start().await;
    let owner = program(&app.owner().await).await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    app.run_jobs().await;
    let open = begin(&owner, "text/plain", 5).await;
    send(&owner, &open, 1, b"later").await.ok();
    let root = app.settings.storage.storage_dir.join("orgs").join(owner.org().to_string());
    let stray = uuid::Uuid::now_v7().to_string();
    // An object whose row was never written, parts of an upload that is not open, half an object, and what
    // others keep.
    for path in [
        format!("assets/{stray}"),
        format!("uploads/{stray}/00001"),
        format!("assets/{stray}#1"),
        format!("exports/{stray}"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"stray").unwrap();
    }
    run(&app, "assets.remove_orphans").await;
    assert_eq!(stored(&app).iter().filter(|it| it.contains(&stray)).count(), 4, "they are young");
    app.advance(TimeDelta::hours(49));
    let old = std::process::Command::new("touch")
        .args(["-d", "3 days ago"])
        .arg(root.join(format!("assets/{stray}#1")))
        .status();
    assert!(old.unwrap().success());
    run(&app, "assets.remove_orphans").await;
    let left: Vec<_> = stored(&app).into_iter().filter(|it| it.contains(&stray)).collect();
    assert_eq!(left, [root.join(format!("exports/{stray}")).display().to_string()]);
    assert_eq!(content(&owner, &asset).await, b"hello");
    assert!(stored(&app).iter().any(|it| it.contains(&open)), "it is open");
}

#[tokio::test]
async fn files_of_an_org_that_the_database_does_not_know_are_left_alone() {
    let app = TestApp::start().await;
    let stranger = uuid::Uuid::from_u128(7);
    let kept = app.settings.storage.storage_dir.join(format!("orgs/{stranger}/assets/{stranger}"));
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, "of another database over the same files").unwrap();
    app.advance(TimeDelta::days(3));
    run(&app, "assets.remove_orphans").await;
    assert!(kept.exists());
}
