//! The real program is killed between the steps of a creation, and in the middle of one.

use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{
    job_kills::{ended, let_silence_pass},
    kills::{count, outcomes, recovered},
    processes::{Process, calls_arrive, eventually},
};

/// Orders a creation from the process at `url`; answers the addresses of its job and of itself.
async fn order(owner: &Client, url: &str) -> (String, String) {
    let input = json!({ "model": "gpt-4o-mini", "items": [{ "brief": "A slogan" }] });
    let ordered = owner.at(url).post("/v1/creations", input).await;
    let job = ordered.header("location").unwrap().to_owned();
    (job, format!("/v1/creations/{}", ordered.ok()["creations"][0].as_str().unwrap()))
}

fn steps(creation: &Value) -> [&str; 2] {
    [0, 1].map(|at| creation["steps"][at]["status"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_two_steps_a_creation_goes_on_at_the_second_and_each_is_charged_once() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let (job, creation) = order(&owner, &process.url).await;
    calls_arrive(&app, 1).await;
    // The second step cannot begin.
    let mut locked = app.db.begin().await.unwrap();
    sqlx::query("select from creation_steps where step = 'result' for update")
        .execute(&mut *locked)
        .await
        .unwrap();
    app.simulators.ai.release();
    eventually("the second step is about to begin, and the first is booked", async || {
        let waiting =
            "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        count(&app, waiting).await == 1 && outcomes(&app).await == (1, 0)
    })
    .await;
    process.child.kill().await.unwrap();
    eventually("what waited is gone", async || {
        // Of a process that is gone Postgres knows once it looks.
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
            .execute(app.db.pool())
            .await
            .unwrap();
        count(&app, "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").await == 0
    })
    .await;
    locked.rollback().await.unwrap();
    assert_eq!(steps(&owner.get(&creation).await.ok()), ["answered", "waiting"]);

    let_silence_pass(&app).await;
    let _next = Process::beside(&app, directory.path()).await;
    assert_eq!(ended(&owner, &job).await["status"], "succeeded");
    let creation = owner.get(&creation).await.ok();
    assert_eq!((&creation["status"], steps(&creation)), (&json!("succeeded"), ["answered"; 2]));
    assert_eq!(creation["steps"][0]["attempt"], 1, "the plan was not made again");
    assert_eq!(app.simulators.ai.state().arrived(simulators::ai::Endpoint::Chat), 2);
    recovered(&app, other.path()).await;
    assert_eq!(outcomes(&app).await, (2, 0));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_second_step_it_is_retried_alone_and_each_step_is_charged_once() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let (job, creation) = order(&owner, &process.url).await;
    calls_arrive(&app, 1).await;
    app.simulators.ai.release();
    app.simulators.ai.hold();
    calls_arrive(&app, 2).await;
    eventually("the first step is booked", async || outcomes(&app).await == (1, 0)).await;
    process.child.kill().await.unwrap();
    app.simulators.ai.release();

    let_silence_pass(&app).await;
    let next = Process::beside(&app, directory.path()).await;
    // The provider may have billed it: nobody asks again by himself.
    assert_eq!(ended(&owner, &job).await["problem"]["code"], "outcome_unknown");
    assert_eq!(steps(&owner.get(&creation).await.ok()), ["answered", "unknown"]);
    let retries = format!("{creation}/steps/result/retries");
    let retry = owner.at(&next.url).post(&retries, json!({})).await;
    let again = retry.header("location").unwrap().to_owned();
    assert_eq!(ended(&owner, &again).await["status"], "succeeded");

    let creation = owner.get(&creation).await.ok();
    assert_eq!((&creation["status"], steps(&creation)), (&json!("succeeded"), ["answered"; 2]));
    assert_eq!(creation["steps"][0]["attempt"], 1, "the plan was not made again");
    recovered(&app, other.path()).await;
    assert_eq!(outcomes(&app).await, (2, 1), "what was lost is the platform's");
    app.assert_books_balance().await;
}
