//! Fault F25: the program is told to stop in the middle of everything.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testing::{Reply, TestApp};
use tokio::time::timeout;

use crate::{
    job_kills::{ended, write_drafts},
    kills::outcomes,
    processes::{Process, calls_arrive, chat, eventually},
};

const CALLS: usize = 200;
const FOLLOWERS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_with_200_calls_50_streams_and_a_job_under_way_it_fails_none_of_them() {
    let app = TestApp::live().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let gift = json!({ "credits": 1000, "reason": "For the test", "reference": "gift" });
    operator.post(&format!("/admin/v1/orgs/{}/grants", owner.org()), gift).await.ok();
    let directory = tempfile::tempdir().unwrap();
    let slowly = [("DRAIN_SECONDS", "15".to_owned()), ("AI_HOLD_SECONDS", "300".to_owned())];
    let mut process = Process::with(&app, directory.path(), &slowly).await;
    let client = owner.at(&process.url);
    app.simulators.ai.hold();
    let job = write_drafts(&owner, &process.url, &["A slogan"]).await;
    calls_arrive(&app, 1).await;
    let mut streams = Vec::new();
    for _ in 0..FOLLOWERS {
        let follow = client.request(Method::GET, &format!("{job}/events")).send().await.unwrap();
        assert_eq!(follow.status(), 200);
        streams.push(tokio::spawn(Reply::read(follow)));
    }
    let calls: Vec<_> = (0..CALLS)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.post("/v1/chat/completions", chat(n % 2 == 0)).await })
        })
        .collect();
    calls_arrive(&app, CALLS + 1).await;

    process.signal("-TERM");
    let health = app.anonymous().at(&process.url);
    eventually("it wants no more traffic", async || {
        health.get("/health/ready").await.status == 503
    })
    .await;
    assert_eq!(health.get("/health/live").await.status, 200);
    client.get("/v1/projects").await.ok();
    app.simulators.ai.release();

    for call in calls {
        call.await.unwrap().ok_text();
    }
    for stream in streams {
        let told = stream.await.unwrap().ok_text();
        assert!(told.contains("event: job"), "{told}");
    }
    let code = timeout(Duration::from_mins(1), process.child.wait()).await.expect("it stops");
    assert!(code.unwrap().success());
    let job = ended(&owner, &job).await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(1), &json!(0)), "{job}");
    assert_eq!(outcomes(&app).await, (i64::try_from(CALLS).unwrap() + 1, 0));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_a_second_time_it_stops_at_once() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let client = owner.at(&process.url);
    let call = tokio::spawn(async move {
        client.request(Method::POST, "/v1/chat/completions").json(&chat(false)).send().await
    });
    calls_arrive(&app, 1).await;

    process.signal("-TERM");
    let health = app.anonymous().at(&process.url);
    eventually("it has heard", async || {
        let ready = health.request(Method::GET, "/health/ready").send().await;
        ready.map_or(true, |it| it.status() == 503)
    })
    .await;
    process.signal("-TERM");
    let code = timeout(Duration::from_secs(30), process.child.wait()).await.expect("it stops");
    assert!(!code.unwrap().success(), "what was under way is lost, and it says so");
    assert!(call.await.unwrap().is_err());
    app.simulators.ai.release();
}
