use futures::future::join_all;
use serde_json::json;
use testing::TestApp;

use crate::support::{allow, assert_counted, begin, complete, file, send, uploaded, used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_uploads_at_once_as_many_begin_as_there_is_room_for() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    allow(&app, &owner, 1_000_099).await;
    let all = (0..200).map(|_| owner.post("/v1/uploads", file("text/plain", 10_000)));
    let all = join_all(all).await;
    assert_eq!(all.iter().filter(|it| it.status == 201).count(), 100);
    let refused = all.into_iter().find(|it| it.status != 201).unwrap();
    assert_eq!(refused.problem(), (402, "storage_quota_exceeded".into()));
    assert_eq!(used(&owner).await, 1_000_000);
    assert_counted(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_are_given_up_and_completed_at_the_same_time_are_counted_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut uploads = Vec::new();
    for _ in 0..20 {
        let id = begin(&owner, "text/plain", 5).await;
        send(&owner, &id, 1, b"hello").await.ok();
        uploads.push(id);
    }
    let races = uploads.iter().map(|id| {
        let owner = &owner;
        async move {
            let path = format!("/v1/uploads/{id}");
            let (completed, again, aborted) =
                tokio::join!(complete(owner, id), complete(owner, id), owner.delete(&path));
            let made = completed.status == 201;
            assert_eq!(made, again.status == 201, "{completed:?} {again:?}");
            assert!(made != (aborted.status == 204), "{completed:?} {aborted:?}");
            usize::from(made)
        }
    });
    let made: usize = join_all(races).await.into_iter().sum();
    assert_eq!(used(&owner).await, 5 * i64::try_from(made).unwrap());
    assert_eq!(
        owner.get("/v1/assets?limit=100").await.ok()["items"].as_array().unwrap().len(),
        made
    );
    app.run_jobs().await;
    assert_counted(&app).await;
}

#[tokio::test]
async fn a_deleted_file_makes_room_at_once_and_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    allow(&app, &owner, 9).await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    let more = || owner.post("/v1/uploads", file("text/plain", 5));
    assert_eq!(more().await.problem(), (402, "storage_quota_exceeded".into()));
    let path = format!("/v1/assets/{asset}");
    let deleted = join_all((0..5).map(|_| owner.delete(&path))).await;
    assert_eq!(deleted.iter().filter(|it| it.status == 204).count(), 1);
    assert_eq!(used(&owner).await, 0);
    more().await.ok();
    app.run_jobs().await;
    assert_counted(&app).await;
}

#[tokio::test]
async fn a_smaller_plan_takes_no_more_and_keeps_what_there_is() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    allow(&app, &owner, 3).await;
    let usage = owner.get("/v1/asset-usage").await.ok();
    assert_eq!(usage, json!({ "used_bytes": 5, "limit_bytes": 3 }));
    let refused = owner.post("/v1/uploads", file("text/plain", 1)).await;
    assert_eq!(refused.problem(), (402, "storage_quota_exceeded".into()));
    assert_eq!(crate::support::content(&owner, &asset).await, b"hello");
}
