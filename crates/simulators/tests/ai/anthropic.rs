use serde_json::{Value, json};
use simulators::ai::{Endpoint, Fault, Usage};

use crate::support::{Provider, with};

fn says(text: &str) -> Value {
    json!({
        "model": "claude-haiku-4-5",
        "max_tokens": 50,
        "messages": [{ "role": "user", "content": text }],
    })
}

async fn post(provider: &Provider, body: Value) -> (u16, Value) {
    let request = provider.request("/messages", &body).header("anthropic-version", "2023-06-01");
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The events of a stream, whose names are their types.
async fn stream(provider: &Provider, body: Value) -> Vec<Value> {
    let body = with(body, json!({ "stream": true }));
    let request = provider.request("/messages", &body).header("anthropic-version", "2023-06-01");
    let text = request.send().await.unwrap().text().await.unwrap();
    let frames = text.trim_end().split("\n\n").map(|frame| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    });
    frames.collect()
}

fn tool() -> Value {
    json!({ "tools": [{ "name": "look_up", "input_schema": { "type": "object" } }] })
}

#[tokio::test]
async fn a_message_has_anthropics_shape() {
    let provider = Provider::start().await;

    let (status, message) = post(&provider, says("hello")).await;

    assert_eq!(status, 200, "{message}");
    assert_eq!(message["type"], "message");
    assert_eq!(message["model"], "claude-haiku-4-5-20251001");
    assert_eq!(message["content"], json!([{ "type": "text", "text": "You said: hello" }]));
    assert_eq!(message["stop_reason"], "end_turn");
    assert!(message["usage"]["input_tokens"].as_i64().unwrap() > 0);
    assert_eq!(provider.ai.state().arrived(Endpoint::Messages), 1);
}

#[tokio::test]
async fn a_message_says_why_it_ended() {
    let provider = Provider::start().await;

    let (_, cut) = post(&provider, with(says("one two three"), json!({ "max_tokens": 2 }))).await;
    let (_, stopped) =
        post(&provider, with(says("one two three"), json!({ "stop_sequences": ["two"] }))).await;
    let (_, called) = post(&provider, with(says("use the tool"), tool())).await;

    assert_eq!(cut["stop_reason"], "max_tokens");
    assert_eq!(cut["usage"]["output_tokens"], 2);
    assert_eq!(
        (&stopped["stop_reason"], &stopped["stop_sequence"]),
        (&json!("stop_sequence"), &json!("two"))
    );
    assert_eq!(called["stop_reason"], "tool_use");
    assert_eq!(called["content"][0]["input"], json!({ "input": "use the tool" }));
}

#[tokio::test]
async fn a_streamed_message_is_the_whole_one_in_pieces() {
    let provider = Provider::start().await;

    let (_, whole) = post(&provider, says("hello")).await;
    let events = stream(&provider, says("hello")).await;

    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, whole["content"][0]["text"]);
    let last = &events[events.len() - 2];
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
}

#[tokio::test]
async fn a_thinking_model_streams_its_thoughts_first() {
    let provider = Provider::start().await;
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } });

    let events = stream(&provider, with(says("hello"), thinking)).await;

    assert_eq!(events[2]["content_block"]["type"], "thinking");
    assert!(events.iter().any(|event| event["delta"]["type"] == "signature_delta"));
    assert!(events.iter().any(|event| event["index"] == 1));
}

#[tokio::test]
async fn mistakes_and_trouble_are_answered_in_anthropics_shape() {
    let provider = Provider::start().await;
    for status in [429, 529, 500] {
        provider.ai.next(Fault::Status { status, retry_after: Some(3) });
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (status, error) = post(&provider, says("hello")).await;
        assert_eq!(error["type"], "error");
        seen.push((status, error["error"]["type"].as_str().unwrap().to_owned()));
    }
    let kinds: Vec<(u16, &str)> = seen.iter().map(|(status, kind)| (*status, &**kind)).collect();
    assert_eq!(kinds, [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error")]);

    let unanswered = json!({ "messages": [
        { "role": "user", "content": "hello" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "b", "input": {} }] },
        { "role": "user", "content": "and?" },
    ]});
    for mistake in [
        json!({ "max_tokens": 0 }),
        json!({ "messages": [{ "role": "tool", "content": "no" }] }),
        json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "" }] }] }),
        json!({ "seed": 1 }),
        unanswered,
    ] {
        let (status, error) = post(&provider, with(says("hello"), mistake.clone())).await;
        assert_eq!(status, 400, "{mistake}");
        assert_eq!(error["error"]["type"], "invalid_request_error", "{mistake}");
    }
    let (status, _) = post(&provider, with(says("hello"), json!({ "model": "gpt-4o" }))).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_stream_fails_in_the_middle_with_an_event_that_says_so() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::ErrorAfter { chunks: 4 });

    let events = stream(&provider, says("hello")).await;

    assert_eq!(events.len(), 5);
    assert_eq!(events[4]["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn cached_tokens_are_told_apart_from_fresh_ones() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::Usage(Usage {
        prompt_tokens: 100,
        completion_tokens: 7,
        cached_tokens: 60,
        reasoning_tokens: 0,
        ..Usage::default()
    }));

    let (_, message) = post(&provider, says("hello")).await;

    assert_eq!(message["usage"]["input_tokens"], 40);
    assert_eq!(message["usage"]["cache_read_input_tokens"], 60);
}
