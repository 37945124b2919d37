//! Kill -9 of the real program while it tells a customer's program of something. It is told again, with the
//! same id, and nothing is lost.

use serde_json::json;
use testing::{Client, TestApp};

use crate::{
    kills::{count, locked, somebody_waits, waits},
    processes::{Process, eventually},
};

async fn listening() -> (TestApp, Client) {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let url = format!("{}/a", app.simulators.sink.url());
    owner.post("/v1/webhook-endpoints", json!({ "url": url })).await.ok();
    (app, owner)
}

/// As when the dead process's lease is over.
async fn go_on(app: &TestApp) {
    let lease = "update webhook_endpoints set lane_until = now()";
    sqlx::query(lease).execute(app.db.pool()).await.unwrap();
    app.webhooks.sweep().await.unwrap();
    app.run_jobs().await;
}

async fn told_twice_with_one_id(app: &TestApp) {
    go_on(app).await;
    let received = app.simulators.sink.received("/a");
    let [first, again] = &received[..] else { panic!("{received:?}") };
    assert_eq!(first.headers["webhook-id"], again.headers["webhook-id"]);
    assert_eq!(first.body, again.body);
    assert_eq!(count(app, "webhook_deliveries where status = 'delivered'").await, 1);
    go_on(app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 2, "and that is the end of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_receiver_took_it_and_before_that_is_written_down_it_is_told_again() {
    let (app, owner) = listening().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.sink.hold("/a");
    owner.at(&process.url).post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    app.simulators.sink.wait_for("/a", 1).await;

    let lock = locked(&app, "select from webhook_endpoints for update").await;
    app.simulators.sink.release("/a");
    somebody_waits(&app).await;
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    eventually("nobody waits", async || !waits(&app).await).await;
    drop(lock);

    told_twice_with_one_id(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_receiver_works_it_is_told_again() {
    let (app, owner) = listening().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.sink.hold("/a");
    owner.at(&process.url).post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    app.simulators.sink.wait_for("/a", 1).await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();
    app.simulators.sink.release("/a");

    told_twice_with_one_id(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_while_a_receiver_takes_long_it_leaves_the_event_to_the_next_program_at_once()
{
    let (app, owner) = listening().await;
    let directory = tempfile::tempdir().unwrap();
    let little_patience = [("JOBS_GRACE_SECONDS", "4".to_owned())];
    let mut process = Process::with(&app, directory.path(), &little_patience).await;
    app.simulators.sink.hold("/a");
    owner.at(&process.url).post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    app.simulators.sink.wait_for("/a", 1).await;

    process.signal("-TERM");
    assert!(process.child.wait().await.unwrap().success());
    app.simulators.sink.release("/a");

    assert_eq!(count(&app, "webhook_endpoints where lane is not null").await, 0);
    let untried = "webhook_deliveries where status = 'pending' and attempts = 0 and lane is null";
    assert_eq!(count(&app, untried).await, 1, "no attempt is used up");
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 2);
    assert_eq!(count(&app, "webhook_deliveries where status = 'delivered'").await, 1);
}
