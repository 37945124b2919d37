use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, TestApp};

use crate::{left_today, only_record, streamed, usage};

/// The events of a stream, parsed; `[DONE]` as null.
pub(crate) fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or(Value::Null)).collect()
}

pub(crate) fn content(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

/// Begins a stream and reads until its first text.
async fn begin(client: &Client) -> reqwest::Response {
    let request = client.request(Method::POST, "/v1/chat/completions").json(&streamed());
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_answer_and_costs_the_same() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let whole = owner.post("/v1/chat/completions", crate::chat()).await.ok();

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(&reply.text);
    assert_eq!(content(&events), whole["choices"][0]["message"]["content"]);
    assert_eq!(events.last(), Some(&Value::Null), "ends with [DONE]");
    assert!(events.iter().all(|event| event["choices"] != json!([])), "nobody asked for the usage");
    let usage = usage(&owner).await;
    assert_eq!(usage["input_tokens"], 2 * whole["usage"]["prompt_tokens"].as_i64().unwrap());
    assert_eq!(usage["output_tokens"], 2 * whole["usage"]["completion_tokens"].as_i64().unwrap());
    app.assert_books_balance().await;
}

#[tokio::test]
async fn who_asks_for_the_usage_gets_it_as_the_last_chunk() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut request = streamed();
    request["stream_options"] = json!({ "include_usage": true });

    let reply = owner.post("/v1/chat/completions", request).await;

    let events = events(&reply.text);
    let chunk = &events[events.len() - 2];
    assert_eq!(chunk["choices"], json!([]));
    assert_eq!(usage(&owner).await["output_tokens"], chunk["usage"]["completion_tokens"]);
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_once_for_what_was_billed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::HangAfter { chunks: 2 });
    let response = begin(&owner).await;
    let mut body = response.bytes_stream();
    body.next().await.unwrap().unwrap();

    drop(body);
    app.simulators.ai.release();
    app.ai.drain().await;

    let usage = usage(&owner).await;
    assert_eq!(usage["calls"], 1);
    assert!(usage["output_tokens"].as_i64().unwrap() > 2, "the provider billed the whole answer");
    assert_eq!(left_today(&owner).await, 4);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so_and_costs_what_was_delivered() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::CutAfter { chunks: 3 });

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    let events = events(&reply.text);
    assert_eq!(events[events.len() - 2]["error"]["code"], "ai_unavailable");
    let (outcome, estimated): (String, bool) =
        sqlx::query_as("select outcome, estimated from usage_records")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!((outcome.as_str(), estimated), ("partial", true));
    let delivered = i64::try_from(content(&events).len()).unwrap();
    assert!(usage(&owner).await["output_tokens"].as_i64().unwrap() <= delivered);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_unreadable_event_ends_the_stream_with_an_error() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::MalformedAfter { chunks: 2 });

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(reply.text.contains("unreadable"), "{}", reply.text);
    assert!(reply.text.ends_with("data: [DONE]\n\n"));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_usage_told_twice_is_charged_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::UsageTwice);

    let twice = owner.post("/v1/chat/completions", streamed()).await;
    assert!(twice.status.is_success());
    let first = usage(&owner).await;
    owner.post("/v1/chat/completions", streamed()).await;

    let both = usage(&owner).await;
    assert_eq!(both["output_tokens"], 2 * first["output_tokens"].as_i64().unwrap());
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_silent_provider_is_given_up_after_the_idle_time() {
    let app = TestApp::start_with(|settings| settings.ai.ai_idle_seconds = 1).await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::HangAfter { chunks: 1 });

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(reply.text.contains("ai_unavailable"), "{}", reply.text);
    assert_eq!(usage(&owner).await["calls"], 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn heartbeats_of_a_provider_are_signs_of_life() {
    let app = TestApp::start_with(|settings| settings.ai.ai_idle_seconds = 5).await;
    let owner = app.owner().await;
    let beats = Fault::HeartbeatsAfter { chunks: 1, beats: 5, millis_per_beat: 1_200 };
    app.simulators.ai.next(beats);

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(reply.text.contains(": heartbeat"), "{}", reply.text);
    assert!(!reply.text.contains("ai_unavailable"), "{}", reply.text);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_line_without_end_is_given_up_before_it_fills_the_memory() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::EndlessAfter { chunks: 3 });

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(reply.text.contains("too long"), "{}", reply.text);
    assert!(reply.text.len() < 10_000);
    app.simulators.ai.wait_until(|state| state.disconnects == 1).await;
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stream_that_said_all_may_leave_out_the_end() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::NoDone);

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(!reply.text.contains("ai_unavailable"), "{}", reply.text);
    assert_eq!(only_record(&app).await.0, "succeeded");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_abandoned_stream_is_cancelled_where_the_provider_stops_billing_then() {
    let app = TestApp::start_with(|settings| settings.ai.ai_cancel_abandoned = true).await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::HangAfter { chunks: 3 });
    let mut body = begin(&owner).await.bytes_stream();
    body.next().await.unwrap().unwrap();

    drop(body);
    app.simulators.ai.wait_until(|state| state.in_flight == 0).await;
    app.ai.drain().await;

    assert_eq!(only_record(&app).await.0, "partial");
    let usage = usage(&owner).await;
    assert_eq!(usage["calls"], 1);
    assert!(usage["input_tokens"].as_i64().unwrap() > 0, "the prompt was billed");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_is_passed_on_is_byte_for_byte_what_the_provider_sent() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut request = streamed();
    request["stream_options"] = json!({ "include_usage": true });

    let reply = owner.post("/v1/chat/completions", request.clone()).await;

    let url = format!("{}/chat/completions", app.simulators.ai.url());
    let direct = reqwest::Client::new().post(url).bearer_auth("key").json(&request).send().await;
    let direct = direct.unwrap().text().await.unwrap();
    let without_ids = |text: &str| {
        let events = events(text).into_iter().map(|mut event| {
            if let Some(chunk) = event.as_object_mut() {
                chunk.retain(|name, _| name != "id" && name != "created");
            }
            event
        });
        events.collect::<Vec<_>>()
    };
    assert_eq!(without_ids(&reply.text), without_ids(&direct));
}

#[tokio::test]
async fn a_long_stream_renews_its_reservation() {
    let app = TestApp::start_with(|settings| settings.quotas.ai_hold_seconds = 6).await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::Slow { millis_per_chunk: 1_200 });

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(!reply.text.contains("ai_unavailable"), "{}", reply.text);
    assert_eq!(only_record(&app).await.0, "succeeded");
    app.assert_books_balance().await;
}
