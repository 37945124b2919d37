use serde_json::json;
use simulators::ai::Endpoint;

use crate::support::{Provider, says, with};

#[tokio::test]
async fn a_completion_has_openais_shape() {
    let provider = Provider::start().await;
    let mut answer = provider.chat(says("hello world")).await;

    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer["created"].as_i64().unwrap() > 1_700_000_000);
    let fields = answer.as_object_mut().unwrap();
    fields.remove("id");
    fields.remove("created");
    assert_eq!(
        answer,
        json!({
            "object": "chat.completion",
            "model": "gpt-4o-mini-2024-07-18",
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "You said: hello world",
                    "refusal": null,
                    "annotations": [],
                },
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
                "completion_tokens_details": {
                    "reasoning_tokens": 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
        })
    );
}

#[tokio::test]
async fn a_conversation_counts_as_many_tokens_as_openai_counts() {
    // The example of OpenAI's cookbook, for which its API reports 124 prompt tokens.
    let conversation = json!([
        { "role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English." },
        { "role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth." },
        { "role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue." },
        { "role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage." },
        { "role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better." },
        { "role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable." },
    ]);
    let answer =
        Provider::start().await.chat(json!({ "model": "gpt-4o", "messages": conversation })).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 124);
}

#[tokio::test]
async fn text_that_looks_like_a_control_token_is_counted_as_text() {
    let provider = Provider::start().await;
    let answer = provider.chat(says("<|endoftext|>")).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 3 + 1 + 7 + 3);
}

#[tokio::test]
async fn parts_of_a_message_count_like_their_text_and_images_cost_extra() {
    let provider = Provider::start().await;
    let text = json!({ "type": "text", "text": "hello world" });
    let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA" } });
    let prompt_tokens = async |parts| {
        let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": parts }] });
        provider.chat(body).await["usage"]["prompt_tokens"].as_i64().unwrap()
    };
    assert_eq!(prompt_tokens(json!([text])).await, 9);
    assert_eq!(prompt_tokens(json!([text, image])).await, 9 + 85);
}

#[tokio::test]
async fn max_tokens_cuts_the_answer_between_tokens() {
    let provider = Provider::start().await;
    for limit in ["max_tokens", "max_completion_tokens"] {
        let answer = provider.chat(with(says("hello world"), json!({ limit: 2 }))).await;
        assert_eq!(answer["choices"][0]["message"]["content"], "You said");
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 2);
    }
    let exact = provider.chat(with(says("hello world"), json!({ "max_tokens": 5 }))).await;
    assert_eq!(exact["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stop_sequence_ends_the_answer_before_it() {
    let provider = Provider::start().await;
    let answer = provider.chat(with(says("one two three"), json!({ "stop": ["x", " two"] }))).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: one");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn every_choice_is_billed() {
    let provider = Provider::start().await;
    let answer = provider.chat(with(says("hello world"), json!({ "n": 3 }))).await;
    let indexes: Vec<_> = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["index"].clone())
        .collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!(answer["usage"]["completion_tokens"], 15);
    assert_eq!(answer["usage"]["prompt_tokens"], 9);
}

#[tokio::test]
async fn a_tool_is_called_when_the_user_asks_for_it() {
    let provider = Provider::start().await;
    let tool = json!({ "type": "function", "function": { "name": "search", "parameters": {} } });
    let tools = json!({ "tools": [tool] });

    let answer = provider.chat(with(says("please use the tool"), tools.clone())).await;
    let choice = &answer["choices"][0];
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert!(choice["message"]["content"].is_null());
    assert!(call["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!(call["function"]["name"], "search");
    assert_eq!(call["function"]["arguments"], r#"{"input":"please use the tool"}"#);

    let answer = provider.chat(with(says("hello"), tools)).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_call_without_a_key_is_refused_and_counted() {
    let provider = Provider::start().await;
    let url = format!("{}/chat/completions", provider.ai.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.post(url).json(&says("hi")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert!(body["error"]["message"].as_str().unwrap().contains("provide an API key"));
    assert_eq!(provider.ai.state().arrived(Endpoint::Chat), 1);
}

#[tokio::test]
async fn mistakes_are_answered_in_openais_shape() {
    let provider = Provider::start().await;
    let refusal = async |path: &str, body| {
        let (status, answer) = provider.post(path, body).await;
        (status, answer["error"]["code"].clone(), answer["error"]["param"].clone())
    };
    let chat = "/chat/completions";

    let unknown = with(says("hi"), json!({ "model": "gpt-9" }));
    assert_eq!(refusal(chat, unknown).await, (404, "model_not_found".into(), json!(null)));
    let no_model = json!({ "messages": [] });
    assert_eq!(refusal(chat, no_model).await, (400, json!(null), json!(null)));
    let none = with(says("hi"), json!({ "messages": [] }));
    assert_eq!(refusal(chat, none).await, (400, json!(null), "messages".into()));
    let misspelt = with(says("hi"), json!({ "max_token": 1 }));
    assert_eq!(refusal(chat, misspelt).await, (400, json!(null), json!(null)));
    let not_streaming = with(says("hi"), json!({ "stream_options": { "include_usage": true } }));
    assert_eq!(refusal(chat, not_streaming).await, (400, json!(null), "stream_options".into()));
    let old_limit = with(says("hi"), json!({ "model": "gpt-5", "max_tokens": 5 }));
    let unsupported = (400, "unsupported_parameter".into(), "max_tokens".into());
    assert_eq!(refusal(chat, old_limit).await, unsupported);
    let embedding = with(says("hi"), json!({ "model": "text-embedding-3-small" }));
    assert_eq!(refusal(chat, embedding).await, (400, json!(null), "model".into()));
    assert_eq!(refusal("/nowhere", json!({})).await, (404, json!(null), json!(null)));
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let provider = Provider::start().await;
    let request = provider.request("/chat/completions", &json!({})).body("{\"model\":");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
    assert!(response.text().await.unwrap().contains("could not parse the JSON body"));
}
