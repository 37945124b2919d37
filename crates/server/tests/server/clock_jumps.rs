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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_whose_clock_is_a_day_ahead_uses_up_no_slots_and_keeps_its_lease() {
    let Some(library) = LIBRARIES.into_iter().find(|it| Path::new(it).exists()) else {
        eprintln!("passed over: faketime is not installed");
        return;
    };
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let jump = [
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", "+1d".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
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
