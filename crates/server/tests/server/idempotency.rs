//! `kill -9` of the real program at each point of a request with an `Idempotency-Key`.

use reqwest::Method;
use serde_json::json;
use testing::{Client, Reply, TestApp};

use crate::processes::{Process, eventually};

async fn create(client: &Client) -> Reply {
    client.header("idempotency-key", "k").post("/v1/projects", json!({ "name": "Apollo" })).await
}

/// Sends the request to a process that is about to die.
fn send(client: &Client, process: &Process) {
    let client = client.at(&process.url).header("idempotency-key", "k");
    let request = client.request(Method::POST, "/v1/projects").json(&json!({ "name": "Apollo" }));
    tokio::spawn(request.send());
}

async fn count(app: &TestApp, table: &'static str) -> i64 {
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")));
    count.fetch_one(app.db.pool()).await.unwrap()
}

/// The process did not die of it, but its lease did.
async fn let_the_lease_run_out(app: &TestApp) {
    sqlx::query("update idempotency_keys set lease_until = now()")
        .execute(app.db.pool())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_its_effect_a_request_is_done_by_the_repetition() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let mut blocker = app.db.begin().await.unwrap();
    sqlx::query("lock table projects in exclusive mode").execute(&mut *blocker).await.unwrap();
    send(&owner, &process);
    eventually("the request begins", async || count(&app, "idempotency_keys").await == 1).await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();
    // Its statement goes on, but nobody is left to commit it.
    blocker.rollback().await.unwrap();
    assert_eq!(create(&owner).await.problem(), (409, "idempotency_key_in_use".into()));
    eventually("Postgres notices", async || {
        let alive = "pg_stat_activity where datname = current_database() and state <> 'idle'";
        // The one that counts is the only one at work.
        count(&app, alive).await == 1
    })
    .await;
    let_the_lease_run_out(&app).await;

    assert_eq!(create(&owner).await.status, 201);
    assert_eq!(count(&app, "projects").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_its_effect_and_its_answer_a_request_is_not_repeated() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let mut projects = app.db.begin().await.unwrap();
    sqlx::query("lock table projects in exclusive mode").execute(&mut *projects).await.unwrap();
    send(&owner, &process);
    eventually("the request begins", async || count(&app, "idempotency_keys").await == 1).await;
    let mut keys = app.db.begin().await.unwrap();
    // The effect's transaction may refer to the key; nobody may write it.
    sqlx::query("lock table idempotency_keys in share mode").execute(&mut *keys).await.unwrap();
    projects.rollback().await.unwrap();
    eventually("the effect is committed", async || count(&app, "projects").await == 1).await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();
    keys.rollback().await.unwrap();
    let_the_lease_run_out(&app).await;

    let again = create(&owner).await;
    match again.status.as_u16() {
        // The answer was on its way to Postgres already.
        201 => assert_eq!(again.header("idempotency-replayed"), Some("true")),
        _ => assert_eq!(again.problem(), (409, "idempotency_answer_lost".into())),
    }
    assert_eq!(count(&app, "projects").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_its_answer_a_request_is_replayed() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let first = create(&owner.at(&process.url)).await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();

    let again = create(&owner).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.text, first.text);
    assert_eq!(count(&app, "projects").await, 1);
}

fn chat(stream: bool) -> serde_json::Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "hello" }],
        "max_tokens": 10,
        "stream": stream,
    })
}

/// Sends an AI call to a process that is about to die, and waits until the provider has it.
async fn call(app: &TestApp, client: &Client, process: &Process, stream: bool) {
    app.simulators.ai.hold();
    let client = client.at(&process.url);
    let request = client.request(Method::POST, "/v1/chat/completions").json(&chat(stream));
    tokio::spawn(async move { request.send().await?.bytes().await });
    app.simulators.ai.wait_for_calls(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_provider_thinks_a_call_is_made_by_the_repetition_and_charged_once() {
    let app = TestApp::live().await;
    let owner = app.owner().await.header("idempotency-key", "k");
    let directory = tempfile::tempdir().unwrap();
    // Long enough to repeat the call before its lease is over, also on a busy machine.
    let lease = [("AI_HOLD_SECONDS", "10".to_owned())];
    let mut process = Process::with(&app, directory.path(), &lease).await;
    call(&app, &owner, &process, true).await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();
    app.simulators.ai.release();
    let early = owner.post("/v1/chat/completions", chat(true)).await;
    assert_eq!(early.problem(), (409, "idempotency_key_in_use".into()));
    eventually("the lease ends, as the reservation does", async || {
        owner.post("/v1/chat/completions", chat(true)).await.status == 200
    })
    .await;
    eventually("the reservation has ended", async || app.quotas.reap().await.unwrap() == 1).await;

    let paid = count(&app, "usage_records where paid_by <> 'platform'").await;
    let unknown = count(&app, "usage_records where outcome = 'unknown'").await;
    assert_eq!((paid, unknown), (1, 1));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_its_charge_and_its_answer_a_call_is_not_charged_again() {
    for stream in [false, true] {
        let app = TestApp::live().await;
        let owner = app.owner().await.header("idempotency-key", "k");
        let directory = tempfile::tempdir().unwrap();
        let mut process = Process::beside(&app, directory.path()).await;
        call(&app, &owner, &process, stream).await;
        let mut keys = app.db.begin().await.unwrap();
        sqlx::query("lock table idempotency_keys in share mode").execute(&mut *keys).await.unwrap();
        app.simulators.ai.release();
        eventually("the call is charged", async || count(&app, "usage_records").await == 1).await;

        process.signal("-KILL");
        process.child.wait().await.unwrap();
        keys.rollback().await.unwrap();
        let_the_lease_run_out(&app).await;

        let again = owner.post("/v1/chat/completions", chat(stream)).await;
        match again.status.as_u16() {
            // The answer was on its way to Postgres already.
            200 => assert_eq!(again.header("idempotency-replayed"), Some("true")),
            _ => assert_eq!(again.problem(), (409, "idempotency_answer_lost".into())),
        }
        assert_eq!(count(&app, "usage_records").await, 1);
        app.assert_books_balance().await;
    }
}
