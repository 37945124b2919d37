//! Callers who speak Anthropic's API.

use serde_json::{Value, json};
use simulators::ai::{Endpoint, Fault};
use testing::{Reply, TestApp};

use crate::{left_today, usage};

fn asks(model: &str, more: Value) -> Value {
    let mut request = json!({
        "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }],
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// The events of a stream, whose names are their types.
fn events(reply: Reply) -> Vec<Value> {
    let text = reply.ok_text();
    let frames = text.trim_end().split("\n\n").filter(|frame| !frame.is_empty());
    let events = frames.map(|frame| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    });
    events.collect()
}

/// The text of a stream, and why it ended.
fn said(events: &[Value]) -> (String, Value) {
    let text = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    let ended = events.iter().find(|event| event["type"] == "message_delta");
    (text, ended.map(|event| event["delta"]["stop_reason"].clone()).unwrap_or_default())
}

const MODELS: [(&str, Endpoint); 2] =
    [("gpt-4o-mini", Endpoint::Chat), ("claude-haiku-4-5", Endpoint::Messages)];

#[tokio::test]
async fn every_chat_model_answers_in_anthropics_words_whole_and_streamed() {
    for (model, endpoint) in MODELS {
        let app = TestApp::start().await;
        let owner = app.owner().await;

        let whole = owner.post("/v1/messages", asks(model, json!({}))).await.ok();
        let streamed = owner.post("/v1/messages", asks(model, json!({ "stream": true }))).await;

        assert_eq!(whole["content"], json!([{ "type": "text", "text": "You said: hello" }]));
        assert_eq!(
            (&whole["type"], &whole["stop_reason"]),
            (&json!("message"), &json!("end_turn"))
        );
        let events = events(streamed);
        assert_eq!(events[0]["type"], "message_start");
        assert_eq!(events.last().unwrap()["type"], "message_stop");
        assert_eq!(said(&events), ("You said: hello".to_owned(), json!("end_turn")));
        assert_eq!(app.simulators.ai.state().arrived(endpoint), 2);
        let usage = usage(&owner).await;
        assert_eq!(usage["calls"], 2);
        assert_eq!(usage["input_tokens"], 2 * whole["usage"]["input_tokens"].as_i64().unwrap());
        assert_eq!(usage["output_tokens"], 2 * whole["usage"]["output_tokens"].as_i64().unwrap());
        app.assert_books_balance().await;
    }
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_understood_by_every_model() {
    for (model, _) in MODELS {
        let app = TestApp::start().await;
        let owner = app.owner().await;
        let tools = json!([{ "name": "look_up", "input_schema": { "type": "object" } }]);
        let question = json!({ "role": "user", "content": "use the tool" });
        let request = json!({ "tools": tools, "messages": [question] });

        let whole = owner.post("/v1/messages", asks(model, request.clone())).await.ok();
        let mut streamed = asks(model, request);
        streamed["stream"] = true.into();
        let events = events(owner.post("/v1/messages", streamed).await);

        let call = &whole["content"][0];
        assert_eq!(call["input"], json!({ "input": "use the tool" }));
        assert_eq!(whole["stop_reason"], "tool_use");
        let arguments: String =
            events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), call["input"]);
        assert_eq!(said(&events).1, "tool_use");
        let result = json!({ "type": "tool_result", "tool_use_id": call["id"], "content": "42" });
        let turns = json!([
            question,
            { "role": "assistant", "content": whole["content"] },
            { "role": "user", "content": [result] },
        ]);
        let request = json!({ "tools": tools, "messages": turns });
        owner.post("/v1/messages", asks(model, request)).await.ok();
        app.assert_books_balance().await;
    }
}

#[tokio::test]
async fn an_anthropic_model_is_asked_in_the_callers_own_words() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 }, "top_k": 5 });
    let request = asks("claude-haiku-4-5", thinking);

    let whole = owner.post("/v1/messages", request.clone()).await.ok();
    let mut streamed = request.clone();
    streamed["stream"] = true.into();
    let events = events(owner.post("/v1/messages", streamed).await);

    assert_eq!(whole["content"][0]["type"], "thinking");
    assert!(whole["usage"]["cache_creation"].is_object(), "untouched: {whole}");
    let deltas = |kind: &str| events.iter().any(|event| event["delta"]["type"] == kind);
    assert!(deltas("thinking_delta") && deltas("signature_delta") && deltas("text_delta"));
    assert_eq!(app.simulators.ai.state().calls[0].body, request);
}

#[tokio::test]
async fn the_key_may_be_sent_as_anthropics_clients_send_it_but_not_twice() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "k" })).await.ok();
    let secret = key["secret"].as_str().unwrap();
    let program = app.anonymous().header("x-api-key", secret);
    let request = || asks("gpt-4o-mini", json!({}));

    program.post("/v1/messages", request()).await.ok();

    let both = program.with_key(secret).post("/v1/messages", request()).await;
    assert_eq!(both.problem(), (401, "invalid_token".into()));
    let wrong = app.anonymous().header("x-api-key", "slip_wrong");
    let refused = wrong.post("/v1/messages", request()).await;
    assert_eq!((&refused.body["type"], refused.status.as_u16()), (&json!("error"), 401));
    assert_eq!(refused.body["error"]["type"], "authentication_error");
}

#[tokio::test]
async fn errors_are_told_in_both_shapes() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let unknown = owner.post("/v1/messages", asks("claude-none", json!({}))).await;

    assert_eq!(unknown.body["type"], "error");
    assert_eq!(unknown.body["error"]["type"], "not_found_error");
    assert!(unknown.body["request_id"].is_string());
    assert_eq!(unknown.problem(), (404, "unknown_model".into()));
}

#[tokio::test]
async fn what_may_change_the_cost_of_a_message_is_refused_before_it_is_asked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let cached = json!({ "type": "text", "text": "a", "cache_control": { "type": "for ever" } });
    for (more, named) in [
        (json!({ "service_tier": "auto" }), "/service_tier"),
        (json!({ "max_tokens": 0 }), "/max_tokens"),
        (json!({ "system": [cached] }), "/system/0/cache_control"),
        (json!({ "tools": [{ "type": "web_search_20250305", "name": "a" }] }), "/tools/0/type"),
    ] {
        let reply = owner.post("/v1/messages", asks("claude-haiku-4-5", more)).await;
        assert!(reply.body["error"]["message"].as_str().unwrap().contains(named), "{}", reply.text);
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } });
    let reply = owner.post("/v1/messages", asks("gpt-4o-mini", thinking)).await;
    assert_eq!(reply.problem(), (422, "invalid_field".into()));
    assert_eq!(app.simulators.ai.state().generations(), 0);
    assert_eq!(left_today(&owner).await, 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_and_is_charged_for_what_arrived() {
    for (model, _) in MODELS {
        let app = TestApp::start().await;
        let owner = app.owner().await;
        app.simulators.ai.next(Fault::CutAfter { chunks: 5 });

        let events =
            events(owner.post("/v1/messages", asks(model, json!({ "stream": true }))).await);

        assert_eq!(events.last().unwrap()["type"], "error");
        assert!(events.iter().all(|event| event["type"] != "message_stop"));
        let outcome: String = sqlx::query_scalar("select outcome from usage_records")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
        assert_eq!(outcome, "partial");
        app.assert_books_balance().await;
    }
}

#[tokio::test]
async fn a_prompt_is_counted_by_anthropic_estimated_for_others_and_costs_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let prompt = |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "How many tokens is this?" }] });
    let mut message = prompt("claude-haiku-4-5");
    message["max_tokens"] = 50.into();
    let used = owner.post("/v1/messages", message.clone()).await.ok();

    let counted = owner.post("/v1/messages/count_tokens", prompt("claude-haiku-4-5")).await.ok();
    let estimated = owner.post("/v1/messages/count_tokens", prompt("gpt-4o-mini")).await.ok();

    assert_eq!(counted["input_tokens"], used["usage"]["input_tokens"]);
    assert!((5..100).contains(&estimated["input_tokens"].as_i64().unwrap()), "{estimated}");
    assert_eq!(usage(&owner).await["calls"], 1, "only the message");
    let refused = owner.post("/v1/messages/count_tokens", message).await;
    assert_eq!(refused.body["error"]["type"], "invalid_request_error");
    assert_eq!(refused.problem(), (422, "invalid_field".into()));
}
