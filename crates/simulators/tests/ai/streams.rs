use serde_json::{Value, json};

use crate::support::{Events, Provider, json_of, says, says_streaming, with};

#[tokio::test]
async fn a_stream_is_role_words_finish_usage_done_in_this_order() {
    let provider = Provider::start().await;
    let events = provider.stream(says_streaming("hello world")).await;

    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done, "[DONE]");
    let chunks = json_of(chunks);
    let deltas: Vec<&Value> = chunks[..7].iter().map(|c| &c["choices"][0]["delta"]).collect();
    assert_eq!(
        json!(deltas),
        json!([
            { "role": "assistant", "content": "", "refusal": null },
            { "content": "You" },
            { "content": " said" },
            { "content": ":" },
            { "content": " hello" },
            { "content": " world" },
            {},
        ])
    );
    let finishes: Vec<&Value> =
        chunks[..7].iter().map(|c| &c["choices"][0]["finish_reason"]).collect();
    assert_eq!(json!(finishes), json!([null, null, null, null, null, null, "stop"]));
    assert!(
        chunks[..7].iter().all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );

    assert_eq!(chunks.len(), 8);
    assert_eq!(chunks[7]["choices"], json!([]));
    assert_eq!(chunks[7]["usage"]["total_tokens"], 14);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
}

#[tokio::test]
async fn a_stream_tells_no_usage_unless_asked() {
    let provider = Provider::start().await;
    let events = provider.stream(with(says("hi"), json!({ "stream": true }))).await;
    assert!(events.iter().all(|event| !event.contains("usage")));
    assert_eq!(events.last().unwrap(), "[DONE]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_over_when_its_client_has_read_the_end() {
    let provider = Provider::start().await;
    for _ in 0..50 {
        let request = provider.request("/chat/completions", &says_streaming("hello world"));
        let mut events = Events::open(request).await;
        while events.next().await.unwrap().unwrap() != "[DONE]" {}
        assert_eq!(provider.ai.state().in_flight, 0);
    }
}

#[tokio::test]
async fn a_stream_says_and_bills_what_the_single_answer_does() {
    let provider = Provider::start().await;
    for text in ["hello world", "a 👩‍👩‍👧 家族 ნახვამდის", &"word ".repeat(2000)]
    {
        let whole = provider.chat(says(text)).await;
        let events = provider.stream(says_streaming(text)).await;
        let chunks = json_of(&events[..events.len() - 1]);
        let said: String =
            chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(json!(said), whole["choices"][0]["message"]["content"]);
        assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
    }
}

#[tokio::test]
async fn a_limited_stream_finishes_with_length() {
    let provider = Provider::start().await;
    let events =
        provider.stream(with(says_streaming("hello world"), json!({ "max_tokens": 1 }))).await;
    let chunks = json_of(&events[..events.len() - 1]);
    assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "You");
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "length");
    assert_eq!(chunks[3]["usage"]["completion_tokens"], 1);
}

#[tokio::test]
async fn the_arguments_of_a_tool_call_arrive_in_pieces() {
    let provider = Provider::start().await;
    let tool = json!({ "type": "function", "function": { "name": "search", "parameters": {} } });
    let body = with(says_streaming("use the tool"), json!({ "tools": [tool] }));
    let events = provider.stream(body).await;

    let chunks = json_of(&events[..events.len() - 1]);
    let calls: Vec<&Value> =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert_eq!(calls[0]["function"], json!({ "name": "search", "arguments": "" }));
    assert!(calls.len() > 2);
    let arguments: String =
        calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, r#"{"input":"use the tool"}"#);
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
}
