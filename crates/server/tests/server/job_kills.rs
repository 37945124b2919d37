//! The real program is killed, stopped and put to sleep in the middle of a job.

use serde_json::{Value, json};
use testing::{Client, TestApp};
use tokio::net::TcpStream;

use crate::{
    kills::{count, outcomes, recovered},
    processes::{Process, calls_arrive, eventually},
};

/// Has drafts written by the process at `url`; answers the job's address.
pub(crate) async fn write_drafts(owner: &Client, url: &str, briefs: &[&str]) -> String {
    let client = owner.at(url);
    let project = client.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let drafts = json!({ "model": "gpt-4o-mini", "briefs": briefs });
    let path = format!("/v1/projects/{}/drafts", project["id"].as_str().unwrap());
    let job = client.post(&path, drafts).await;
    job.header("location").unwrap().to_owned()
}

/// What half a minute of silence does.
pub(crate) async fn let_silence_pass(app: &TestApp) {
    let silent =
        "update graphile_worker._private_workers set last_heartbeat_at = now() - interval '1 hour'";
    sqlx::query(silent).execute(app.db.pool()).await.unwrap();
}

pub(crate) async fn ended(owner: &Client, job: &str) -> Value {
    eventually("the job ends", async || owner.get(job).await.ok()["finished_at"].is_string()).await;
    owner.get(job).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_job_the_rest_is_done_and_nothing_charged_twice() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let job = write_drafts(&owner, &process.url, &["A slogan", "A title", "An end"]).await;
    calls_arrive(&app, 2).await;

    process.child.kill().await.unwrap();
    app.simulators.ai.release();
    let_silence_pass(&app).await;
    let _next = Process::beside(&app, directory.path()).await;

    // The two that were under way may have been billed: they are not made again, and charged to nobody.
    let job = ended(&owner, &job).await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(1), &json!(2)), "{job}");
    recovered(&app, other.path()).await;
    assert_eq!(outcomes(&app).await, (1, 2));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_under_way_is_finished_before_the_program_stops() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let job = write_drafts(&owner, &process.url, &["A slogan"]).await;
    calls_arrive(&app, 1).await;

    process.signal("-TERM");
    app.simulators.ai.release();
    assert!(process.child.wait().await.unwrap().success());

    assert_eq!(owner.get(&job).await.ok()["status"], "succeeded");
    assert_eq!(count(&app, "graphile_worker._private_workers").await, 0, "it took its leave");
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_in_the_middle_of_a_job_the_next_program_does_the_rest_and_each_item_is_charged_once()
 {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let briefs = ["A slogan", "A title", "A middle", "Another", "An end"];
    let job = write_drafts(&owner, &process.url, &briefs).await;
    calls_arrive(&app, 2).await;

    process.signal("-TERM");
    let address = process.url.trim_start_matches("http://").to_owned();
    eventually("it stops", async || TcpStream::connect(&address).await.is_err()).await;
    app.simulators.ai.release();
    // A call that it made now would not be answered before it gives up.
    app.simulators.ai.hold();
    assert!(process.child.wait().await.unwrap().success());
    let left = owner.get(&job).await.ok();
    assert_eq!((&left["status"], &left["succeeded"]), (&json!("queued"), &json!(2)), "{left}");

    app.simulators.ai.release();
    let _next = Process::beside(&app, other.path()).await;
    let job = ended(&owner, &job).await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(5), &json!(0)), "{job}");
    assert_eq!(outcomes(&app).await, (5, 0));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_asleep_has_no_say_in_what_was_given_to_another() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut asleep = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let job = write_drafts(&owner, &asleep.url, &["A slogan"]).await;
    calls_arrive(&app, 1).await;

    asleep.signal("-STOP");
    let_silence_pass(&app).await;
    let other = tempfile::tempdir().unwrap();
    let next = Process::beside(&app, other.path()).await;
    let given_up = ended(&owner.at(&next.url), &job).await;
    assert_eq!(given_up["problem"]["code"], "outcome_unknown");

    asleep.signal("-CONT");
    app.simulators.ai.release();
    asleep.signal("-TERM");
    asleep.child.wait().await.unwrap();
    assert_eq!(owner.get(&job).await.ok(), given_up);
    recovered(&app, directory.path()).await;
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_the_api_says_how_it_is_and_serves_nothing_else() {
    let app = TestApp::live().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("ROLES", "worker".to_owned()),
        ("WORKER_HEALTH_ADDR", "127.0.0.1:0".to_owned()),
        ("DRAIN_SECONDS", "60".to_owned()),
    ];
    let worker = Process::with(&app, directory.path(), &settings).await;
    let asked = app.anonymous().at(&worker.url);
    assert_eq!(asked.get("/health/live").await.status, 200);
    assert_eq!(asked.get("/health/ready").await.status, 200);
    assert_eq!(asked.get("/v1/plans").await.status, 404);
    worker.signal("-TERM");
    eventually("it says that it stops", async || asked.get("/health/ready").await.status == 503)
        .await;
    assert_eq!(asked.get("/health/live").await.status, 200);
}
