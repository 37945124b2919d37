use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, TestApp};

use crate::{chat, provider_calls, usage};

async fn ask_later(client: &Client, body: Value) -> String {
    let client = client.header("prefer", "respond-async, wait=10");
    let reply = client.post("/v1/chat/completions", body).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.header("preference-applied"), Some("respond-async"));
    assert_eq!(reply.body["status"], "queued");
    reply.header("location").unwrap().to_owned()
}

/// Works on what is queued, and follows one until it ends.
async fn made(app: &TestApp, client: &Client, path: &str) -> Value {
    app.run_jobs().await;
    client.get(&format!("{path}/events")).await.ok_text();
    client.get(path).await.ok()
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_made_later_and_its_answer_kept() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let path = ask_later(&owner, chat()).await;
    assert_eq!(provider_calls(&app), 0);

    let generation = made(&app, &owner, &path).await;

    assert_eq!(generation["status"], "succeeded");
    assert_eq!(generation["answer"]["object"], "chat.completion");
    assert_eq!(usage(&owner).await["calls"], 1);
    let list = owner.get("/v1/generations").await.ok();
    assert_eq!(list["items"][0]["id"], generation["id"]);
    assert!(list["items"][0]["answer"].is_null());
    app.assert_books_balance().await;

    // A key outlives the day, an access token does not.
    let key = owner.post("/v1/api-keys", json!({ "name": "all" })).await.ok();
    let key = owner.with_key(key["secret"].as_str().unwrap());
    app.advance(chrono::TimeDelta::hours(24));
    assert_eq!(key.get(&path).await.problem(), (404, "generation_not_found".into()));
}

#[tokio::test]
async fn its_events_show_every_step_and_end_with_the_answer() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.hold();
    let path = ask_later(&owner, chat()).await;
    let events = tokio::spawn({
        let (owner, path) = (owner.clone(), path.clone());
        async move { owner.get(&format!("{path}/events")).await.ok_text() }
    });
    app.run_jobs().await;
    app.simulators.ai.wait_for_calls(1).await;
    app.simulators.ai.release();

    let events = events.await.unwrap();

    assert!(events.starts_with("event: status\ndata: {"), "{events}");
    let last = events.trim_end().rsplit("event: status").next().unwrap();
    assert!(
        last.contains(r#""status":"succeeded""#) && last.contains("chat.completion"),
        "{events}"
    );
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_at_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("prefer", "respond-async");
    let mut unknown = chat();
    unknown["model"] = "nonsense".into();
    assert_eq!(owner.post("/v1/chat/completions", unknown).await.problem().0, 404);
    assert_eq!(owner.post("/v1/chat/completions", crate::streamed()).await.problem().0, 422);
    assert_eq!(owner.get("/v1/generations").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn embeddings_and_images_can_be_made_later_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let later = owner.header("prefer", "respond-async");
    let vector = json!({ "model": "text-embedding-3-small", "input": "hello" });
    let vector = later.post("/v1/embeddings", vector).await;
    let image = json!({ "model": "gpt-image-1", "prompt": "a slipway" });
    let image = later.post("/v1/images/generations", image).await;

    let vector = made(&app, &owner, vector.header("location").unwrap()).await;
    let image = made(&app, &owner, image.header("location").unwrap()).await;

    assert!(vector["answer"]["data"][0]["embedding"].is_array());
    assert!(image["answer"]["data"].is_array());
    assert_eq!(usage(&owner).await["calls"], 2);
}

#[tokio::test]
async fn one_that_has_not_begun_can_be_called_off_and_one_that_has_cannot() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let waiting = ask_later(&owner, chat()).await;
    assert_eq!(owner.delete(&waiting).await.status, 204);
    let generation = made(&app, &owner, &waiting).await;
    assert_eq!((&generation["status"], provider_calls(&app)), (&json!("cancelled"), 0));

    let done = ask_later(&owner, chat()).await;
    made(&app, &owner, &done).await;
    let (status, code) = owner.delete(&done).await.problem();
    assert_eq!((status, code.as_str()), (409, "generation_not_queued"));
}

#[tokio::test]
async fn a_failure_in_which_nothing_was_billed_is_tried_again_and_a_lost_answer_is_not() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next_n(3, Fault::Status { status: 503, retry_after: None });
    let path = ask_later(&owner, chat()).await;
    app.run_jobs().await;
    app.ai.drain().await;
    assert_eq!(owner.get(&path).await.ok()["status"], "queued");
    assert_eq!(usage(&owner).await["calls"], 0);

    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::Reset);
    let path = ask_later(&owner, chat()).await;
    let lost = made(&app, &owner, &path).await;
    assert_eq!(lost["status"], "failed");
    assert_eq!(lost["problem"]["code"], "ai_unavailable");
    assert_eq!(provider_calls(&app), 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn one_whose_process_died_fails_and_costs_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let path = ask_later(&owner, chat()).await;
    sqlx::query("update generations set status = 'running', leased_until = $1")
        .bind(app.clock.now() + chrono::TimeDelta::minutes(2))
        .execute(app.db.pool())
        .await
        .unwrap();
    let end_lost =
        "select graphile_worker.add_job('ai.end_lost_generations', '{\"job\": {}}'::json)";

    sqlx::query(end_lost).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    assert_eq!(owner.get(&path).await.ok()["status"], "running", "it is leased");
    app.advance(chrono::TimeDelta::minutes(3));
    sqlx::query(end_lost).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;

    let lost = owner.get(&path).await.ok();
    assert_eq!(lost["status"], "failed");
    assert_eq!(lost["problem"]["code"], "outcome_unknown");
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn nobody_sees_or_ends_what_another_org_has_asked_for() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let path = ask_later(&theirs, chat()).await;

    for reply in
        [ours.get(&path).await, ours.get(&format!("{path}/events")).await, ours.delete(&path).await]
    {
        assert_eq!(reply.problem(), (404, "generation_not_found".into()));
    }
    assert_eq!(ours.get("/v1/generations").await.ok()["items"], json!([]));
    assert_eq!(made(&app, &theirs, &path).await["status"], "succeeded");
}

#[tokio::test]
async fn an_exhausted_budget_fails_it_or_lets_it_wait_as_the_org_chose() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for _ in 0..5 {
        owner.post("/v1/chat/completions", chat()).await.ok();
    }
    let refused = ask_later(&owner, chat()).await;
    let refused = made(&app, &owner, &refused).await;
    assert_eq!(refused["problem"]["code"], "quota_exhausted");

    let control = json!({ "on": true, "when_exhausted": "wait" });
    owner.put("/v1/ai-control", control).await.ok();
    let waiting = ask_later(&owner, chat()).await;
    app.run_jobs().await;
    app.ai.drain().await;

    let waiting = owner.get(&waiting).await.ok();
    assert_eq!(waiting["status"], "queued");
    let midnight = (app.clock.now() + chrono::TimeDelta::hours(12)).to_rfc3339();
    assert_eq!(waiting["not_before"].as_str().unwrap()[..19], midnight[..19]);
}
