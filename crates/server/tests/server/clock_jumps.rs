//! Fault F23: the clock of a real program is a day ahead. Needs `apt-get install faketime`, and is passed over without.

use std::path::Path;

use serde_json::json;
use testing::TestApp;

use crate::{
    job_kills::{ended, write_drafts},
    kills::{count, outcomes},
    processes::{Process, calls_arrive, eventually},
};

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The environment of a program that is a day ahead.
fn a_day_ahead() -> Option<[(&'static str, String); 3]> {
    let Some(library) = LIBRARIES.into_iter().find(|it| Path::new(it).exists()) else {
        eprintln!("passed over: faketime is not installed");
        return None;
    };
    Some([
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", "+1d".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_whose_clock_is_a_day_ahead_uses_up_no_slots_and_keeps_its_lease() {
    let Some(jump) = a_day_ahead() else { return };
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _ahead = Process::with(&app, directory.path(), &jump).await;
    eventually("it schedules", async || {
        count(&app, "graphile_worker._private_known_crontabs").await > 0
    })
    .await;
    app.simulators.ai.hold();
    let job = write_drafts(&owner, &app.url, &["A slogan"]).await;
    calls_arrive(&app, 1).await;

    let _right = Process::beside(&app, other.path()).await;
    eventually("both have workers", async || {
        count(&app, "graphile_worker._private_workers").await == 4
    })
    .await;
    let early = "graphile_worker._private_known_crontabs
                 where greatest(last_execution, known_since) > now() + interval '2 minutes'";
    assert_eq!(count(&app, early).await, 0, "slots of tomorrow are used up");

    app.simulators.ai.release();
    let job = ended(&owner, &job).await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(1), &json!(0)), "{job}");
    eventually("the call is booked", async || outcomes(&app).await == (1, 0)).await;
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_whose_clock_is_a_day_ahead_goes_by_the_databases_and_puts_nothing_off() {
    let Some(jump) = a_day_ahead() else { return };
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let url = format!("{}/a", app.simulators.sink.url());
    owner.post("/v1/webhook-endpoints", json!({ "url": url })).await.ok();
    app.simulators.sink.reply("/a", 503);
    let directory = tempfile::tempdir().unwrap();
    let ahead = Process::with(&app, directory.path(), &jump).await;

    // A token of today is not out of date there.
    owner.at(&ahead.url).post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let told = app.simulators.sink.wait_for("/a", 1).await;
    let signed: i64 = told[0].headers["webhook-timestamp"].parse().unwrap();
    assert!((signed - app.clock.now().timestamp()).abs() < 300, "receivers would refuse it");
    eventually("that is written down", async || count(&app, "webhook_attempts").await == 1).await;
    let later = "where due_at > now() + interval '1 hour'";
    assert_eq!(count(&app, &format!("webhook_deliveries {later}")).await, 0);
    let failing = "webhook_endpoints where failing_since > now() + interval '1 hour'";
    assert_eq!(count(&app, failing).await, 0);
    app.simulators.ai.hold();
    write_drafts(&owner, &ahead.url, &["A slogan"]).await;
    assert_eq!(count(&app, "jobs where not_before > now() + interval '1 hour'").await, 0);
    app.simulators.ai.release();
}
