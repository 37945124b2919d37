//! Answers from the cache: the same, free, and nobody else's.

use chrono::TimeDelta;
use serde_json::json;
use simulators::ai::Fault;
use testing::TestApp;

use crate::{chat, left_today, provider_calls, streamed, usage};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn the_same_question_is_answered_from_the_cache_and_free() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("x-slipway-cache", "on");
    let reordered = json!({
        "max_tokens": 50,
        "messages": [{ "content": "hello", "role": "user" }],
        "model": "gpt-4o-mini",
    });

    let first = owner.post(CHAT, chat()).await;
    let again = owner.post(CHAT, reordered).await;

    assert_eq!(first.header("x-slipway-cache"), Some("miss"));
    assert_eq!(again.header("x-slipway-cache"), Some("hit"));
    assert_eq!((again.status.as_u16(), &again.text), (200, &first.text));
    assert_eq!(again.header("x-slipway-cost-nano-usd"), Some("0"));
    assert_eq!(again.header("x-slipway-saved-nano-usd"), first.header("x-slipway-cost-nano-usd"));
    assert_eq!(again.header("x-slipway-model"), Some("gpt-4o-mini"));
    assert_eq!((provider_calls(&app), left_today(&owner).await), (1, 4));
}

#[tokio::test]
async fn an_answer_from_the_cache_is_recorded_as_such_and_its_saving_told() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("x-slipway-cache", "on");
    let project = uuid::Uuid::now_v7().to_string();
    owner.post(CHAT, chat()).await.ok();
    owner.post(CHAT, streamed()).await.ok_text();
    let asked = usage(&owner).await;
    let saved = owner.get("/v1/usage/savings").await.ok();
    assert_eq!(saved["response_cache"]["saved_nano_usd"], 0);

    owner.header("x-slipway-project", &project).post(CHAT, chat()).await.ok();
    let hit = owner.post(CHAT, streamed()).await;
    app.ai.drain().await;

    let total = usage(&owner).await;
    assert_eq!((&total["calls"], &total["cached"]), (&json!(4), &json!(2)));
    assert_eq!(total["success_rate"], 1.0);
    for sum in ["input_tokens", "output_tokens", "cost_nano_usd", "credits"] {
        assert_eq!(total[sum], asked[sum], "{sum}: nothing was used");
    }
    let listed = owner.get("/v1/usage/records?outcome=cached").await.ok();
    let records = listed["items"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|it| it["cost_nano_usd"] == 0 && it["model"] == "gpt-4o-mini"));
    assert!(records.iter().any(|it| it["project"] == project.as_str()));
    // Both calls used the same, so that half of what was paid is one of them.
    let paid = total["cost_nano_usd"].as_i64().unwrap();
    assert_eq!(hit.header("x-slipway-saved-nano-usd"), Some(&*(paid / 2).to_string()));
    let saved = owner.get("/v1/usage/savings").await.ok();
    assert_eq!(
        saved["response_cache"],
        json!({
            "without_nano_usd": 2 * paid, "saved_nano_usd": paid, "percent": 50,
        })
    );
    assert_eq!(saved["prompt_cache"]["saved_nano_usd"], 0);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn another_question_or_one_that_did_not_ask_for_the_cache_is_asked_anew() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let caching = owner.header("x-slipway-cache", "on");
    let mut other = chat();
    other["temperature"] = 0.into();

    caching.post(CHAT, chat()).await.ok();
    let unasked = owner.post(CHAT, chat()).await;
    let other = caching.post(CHAT, other).await;

    assert_eq!(unasked.header("x-slipway-cache"), None);
    assert_eq!(other.header("x-slipway-cache"), Some("miss"));
    assert_eq!(provider_calls(&app), 3);
}

#[tokio::test]
async fn an_answer_never_crosses_orgs() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);

    ours.header("x-slipway-cache", "on").post(CHAT, chat()).await.ok();
    let other = theirs.header("x-slipway-cache", "on").post(CHAT, chat()).await;

    assert_eq!(other.header("x-slipway-cache"), Some("miss"));
    assert_eq!(provider_calls(&app), 2);
}

#[tokio::test]
async fn a_stream_is_answered_as_a_stream_unless_it_broke_off() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("x-slipway-cache", "on");
    app.simulators.ai.next(Fault::CutAfter { chunks: 2 });
    let broken = owner.post(CHAT, streamed()).await;
    assert!(broken.text.contains("ai_unavailable"), "{broken:?}");

    let first = owner.post(CHAT, streamed()).await;
    let again = owner.post(CHAT, streamed()).await;

    assert_eq!(first.header("x-slipway-cache"), Some("miss"));
    assert_eq!(again.header("x-slipway-cache"), Some("hit"));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(again.text, first.text);
    assert_eq!(provider_calls(&app), 2);
}

#[tokio::test]
async fn after_an_hour_the_question_is_asked_anew() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let client = owner.with_key(key["secret"].as_str().unwrap()).header("x-slipway-cache", "on");
    client.post(CHAT, chat()).await.ok();
    app.advance(TimeDelta::minutes(59));
    assert_eq!(client.post(CHAT, chat()).await.header("x-slipway-cache"), Some("hit"));

    app.advance(TimeDelta::minutes(1));

    assert_eq!(client.post(CHAT, chat()).await.header("x-slipway-cache"), Some("miss"));
}

#[tokio::test]
async fn a_repetition_of_a_cached_answer_is_the_same_answer() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("x-slipway-cache", "on");
    let first = owner.post(CHAT, chat()).await;
    let keyed = owner.header("idempotency-key", "a");

    for _ in 0..2 {
        assert_eq!(keyed.post(CHAT, chat()).await.text, first.text);
    }
    assert_eq!(provider_calls(&app), 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn while_ai_is_switched_off_the_cache_is_silent_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("x-slipway-cache", "on");
    owner.post(CHAT, chat()).await.ok();

    owner.put("/v1/ai-control", json!({ "on": false, "reason": "Enough" })).await.ok();

    assert_eq!(owner.post(CHAT, chat()).await.problem(), (503, "ai_switched_off".into()));
}
