use reqwest::StatusCode;
use serde_json::json;
use testing::{Reply, TestApp};

use crate::support::{assert_counted, begin, complete, content, send, used, with_bucket};

#[tokio::test]
async fn while_the_bucket_fails_nothing_is_lost_and_links_are_made() {
    let (bucket, app) = with_bucket().await;
    let owner = app.owner().await;
    let id = begin(&owner, "text/plain", 5).await;
    // Not one that is tried again for long.
    bucket.fail_with(Some(StatusCode::FORBIDDEN));
    assert_eq!(send(&owner, &id, 1, b"hello").await.problem(), (503, "unavailable".into()));
    assert_eq!(complete(&owner, &id).await.problem(), (503, "unavailable".into()));
    let links = owner.post(&format!("/v1/uploads/{id}/links"), json!({ "parts": [1] })).await;
    assert_eq!(links.status, 201);
    assert_eq!(used(&owner).await, 5);

    bucket.fail_with(None);
    send(&owner, &id, 1, b"hello").await.ok();
    let asset = complete(&owner, &id).await.ok();
    let asset = asset["id"].as_str().unwrap();
    bucket.fail_with(Some(StatusCode::FORBIDDEN));
    let path = format!("/v1/assets/{asset}/content");
    assert_eq!(owner.get(&path).await.problem(), (503, "unavailable".into()));
    assert_eq!(owner.get(&format!("/v1/assets/{asset}")).await.status, 200);
    bucket.fail_with(None);
    assert_eq!(content(&owner, asset).await, b"hello");
    assert_counted(&app).await;
}

#[tokio::test]
async fn a_file_whose_content_is_gone_is_not_found() {
    let (bucket, app) = with_bucket().await;
    let owner = app.owner().await;
    let id = crate::support::uploaded(&owner, "text/plain", b"hello").await;
    let key =
        storage::Key::new(owner.org(), "assets", id.parse::<kernel::Id<assets::Asset>>().unwrap());
    std::fs::remove_file(bucket.path(&key)).unwrap();
    let read = owner.get(&format!("/v1/assets/{id}/content")).await;
    assert_eq!(read.problem(), (404, "file_not_found".into()));
    assert_eq!(owner.delete(&format!("/v1/assets/{id}")).await.status, 204);
    app.run_jobs().await;
    assert_counted(&app).await;
}

/// A disk without room, if this machine lets us have one.
#[tokio::test]
async fn a_full_disk_refuses_uploads_and_leaves_the_rest_working() {
    let full = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(full.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return;
    }
    let app = TestApp::start_with(|settings| {
        full.path().clone_into(&mut settings.storage.storage_dir);
    })
    .await;
    let owner = app.owner().await;
    let id = begin(&owner, "text/plain", 500_000).await;
    let refused: Reply = send(&owner, &id, 1, &vec![b'x'; 500_000]).await;
    assert_eq!(refused.problem(), (507, "storage_full".into()));
    assert_eq!(owner.get("/v1/assets").await.status, 200);
    let small = begin(&owner, "text/plain", 5).await;
    send(&owner, &small, 1, b"hello").await.ok();
    complete(&owner, &small).await.ok();
    std::process::Command::new("umount").arg("-l").arg(full.path()).status().unwrap();
}
