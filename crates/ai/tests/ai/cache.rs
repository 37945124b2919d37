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
    assert_eq!(usage(&owner).await["calls"], 1);
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
