//! The contract of `calls`, `failures` and `streams`, kept with Anthropic's models too.

use serde_json::{Value, json};
use simulators::ai::{Endpoint, Fault};
use testing::TestApp;

use crate::{
    chat, left_today,
    streams::{content, events},
    usage,
};

const MODEL: &str = "claude-haiku-4-5";

fn asks(more: Value) -> Value {
    let mut request = chat();
    request["model"] = MODEL.into();
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn look_up() -> Value {
    let parameters = json!({ "type": "object", "properties": { "input": { "type": "string" } } });
    json!([{ "type": "function", "function": { "name": "look_up", "parameters": parameters } }])
}

#[tokio::test]
async fn an_openai_client_is_answered_by_an_anthropic_model_at_its_exact_cost() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let reply = owner.post("/v1/chat/completions", asks(json!({}))).await;

    assert_eq!(reply.header("x-slipway-provider"), Some("anthropic"));
    let answer = reply.ok();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: hello");
    assert_eq!(answer.get("anthropic"), None);
    let counted = |name: &str| answer["usage"][name].as_i64().unwrap();
    let cost = counted("prompt_tokens") * 1_000 + counted("completion_tokens") * 5_000;
    let usage = usage(&owner).await;
    assert_eq!((&usage["calls"], &usage["cost_nano_usd"]), (&json!(1), &json!(cost)));
    let call = app.simulators.ai.state().calls.back().unwrap().clone();
    assert_eq!((call.endpoint, call.key.as_deref()), (Endpoint::Messages, Some("simulator")));
    assert_eq!(call.body["max_tokens"], 50);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stream_says_and_costs_the_same_as_the_whole_answer() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let whole = owner.post("/v1/chat/completions", asks(json!({}))).await.ok();
    let request = asks(json!({ "stream": true, "stream_options": { "include_usage": true } }));

    let reply = owner.post("/v1/chat/completions", request).await;

    let events = events(&reply.text);
    assert_eq!(content(&events), whole["choices"][0]["message"]["content"]);
    assert_eq!(events.last(), Some(&Value::Null), "ends with [DONE]");
    assert_eq!(events[events.len() - 2]["usage"], whole["usage"]);
    let usage = usage(&owner).await;
    assert_eq!(usage["output_tokens"], 2 * whole["usage"]["completion_tokens"].as_i64().unwrap());
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_understood() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let question = json!({ "role": "user", "content": "use the tool" });
    let request = asks(json!({ "tools": look_up(), "messages": [question] }));

    let answer = owner.post("/v1/chat/completions", request).await.ok();
    let message = &answer["choices"][0]["message"];
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let call = &message["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"input":"use the tool"}"#);
    let result = json!({ "role": "tool", "tool_call_id": call["id"], "content": "42" });
    let request = asks(json!({ "tools": look_up(), "messages": [question, message, result] }));
    let answer = owner.post("/v1/chat/completions", request).await.ok();

    assert_eq!(answer["choices"][0]["message"]["content"], "You said: 42");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_an_anthropic_model_cannot_do_is_refused_before_it_is_asked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for more in [json!({ "n": 2 }), json!({ "seed": 1 }), json!({ "temperature": 1.5 })] {
        let reply = owner.post("/v1/chat/completions", asks(more)).await;
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
    assert_eq!(app.simulators.ai.state().generations(), 0);
    assert_eq!(left_today(&owner).await, 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_failure_costs_what_was_certainly_used() {
    let status = |status| Fault::Status { status, retry_after: None };
    for (fault, times, outcome) in [
        (status(429), 9, None),
        (status(529), 9, None),
        (status(500), 9, None),
        (Fault::Reset, 1, Some("unknown")),
        (Fault::CutAfter { chunks: 1 }, 1, Some("unknown")),
        (Fault::CutAfter { chunks: 5 }, 1, Some("partial")),
        (Fault::ErrorAfter { chunks: 5 }, 1, Some("partial")),
        (Fault::MalformedAfter { chunks: 5 }, 1, Some("partial")),
        (Fault::NoUsage, 1, Some("succeeded")),
    ] {
        let app = TestApp::start().await;
        let owner = app.owner().await;
        app.simulators.ai.next_n(times, fault.clone());

        let reply = owner.post("/v1/chat/completions", asks(json!({ "stream": true }))).await;

        let failed = outcome != Some("succeeded");
        assert_eq!(reply.text.contains("ai_unavailable"), failed, "{fault:?} {}", reply.text);
        let booked: Option<String> = sqlx::query_scalar("select outcome from usage_records")
            .fetch_optional(app.db.pool())
            .await
            .unwrap();
        assert_eq!(booked.as_deref(), outcome, "{fault:?}");
        app.assert_books_balance().await;
    }
}

/// What the last call read and wrote, and what it cost beyond that at the prices in force.
async fn last_call(app: &TestApp) -> (i64, i64, i64, i64) {
    app.quotas.settled().await;
    sqlx::query_as(
        "select u.cached_input_tokens, u.cache_write_tokens, u.long_cache_write_tokens,
                u.cost_nano_usd - ceil((
                    (u.input_tokens - u.cached_input_tokens - u.cache_write_tokens
                        - u.long_cache_write_tokens) * p.input_per_million::numeric
                    + u.cached_input_tokens * p.cached_input_per_million
                    + u.cache_write_tokens * p.cache_write_per_million
                    + u.long_cache_write_tokens * p.long_cache_write_per_million
                    + u.output_tokens * p.output_per_million) / 1000000)::bigint
         from usage_records u join prices p on p.id = u.price_id
         order by u.id desc limit 1",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_cached_prompt_is_charged_as_written_and_then_as_read_in_both_languages() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let text = |ttl: &str| {
        let control = json!({ "type": "ephemeral", "ttl": ttl });
        json!({ "type": "text", "text": format!("Long instructions, kept for {ttl}."), "cache_control": control })
    };
    let message = |ttl: &str, stream: bool| {
        json!({
            "model": "claude-haiku-4-5", "max_tokens": 50, "system": [text(ttl)], "stream": stream,
            "messages": [{ "role": "user", "content": "hello" }],
        })
    };
    let chat = |ttl: &str| {
        json!({
            "model": "claude-haiku-4-5", "max_tokens": 50,
            "messages": [
                { "role": "system", "content": [text(ttl)] },
                { "role": "user", "content": "hello" },
            ],
        })
    };

    let first = owner.post("/v1/messages", message("5m", false)).await.ok();
    let (read, short, long, off) = last_call(&app).await;
    assert!(short > 0 && (read, long, off) == (0, 0, 0), "{first}");
    assert_eq!(first["usage"]["cache_creation_input_tokens"], short);
    owner.post("/v1/messages", message("5m", true)).await.ok_text();
    assert_eq!(last_call(&app).await, (short, 0, 0, 0), "read, in a stream");
    let translated = owner.post("/v1/chat/completions", chat("5m")).await.ok();
    assert_eq!(last_call(&app).await, (short, 0, 0, 0), "the same prompt in OpenAI's words");
    assert_eq!(translated["usage"]["prompt_tokens_details"]["cached_tokens"], short);
    owner.post("/v1/chat/completions", chat("1h")).await.ok();
    let (read, short, long, off) = last_call(&app).await;
    assert!(long > 0 && (read, short, off) == (0, 0, 0));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_may_be_written_into_a_cache_is_reserved_at_that_price_and_others_do_not_see_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let quoted = async |model: &str, control: serde_json::Value| {
        let text = json!({ "type": "text", "text": "a".repeat(1_000), "cache_control": control });
        let request = json!({
            "model": model, "max_tokens": 1, "messages": [{ "role": "user", "content": [text] }],
        });
        let quote = json!({ "operation": "chat", "request": request });
        owner.post("/v1/quotes", quote).await.ok()["max_cost_nano_usd"].as_i64().unwrap()
    };
    let (short, long) =
        (json!({ "type": "ephemeral" }), json!({ "type": "ephemeral", "ttl": "1h" }));

    let plain = quoted("claude-haiku-4-5", serde_json::Value::Null).await;
    let (five, hour) =
        (quoted("claude-haiku-4-5", short.clone()).await, quoted("claude-haiku-4-5", long).await);
    assert!(plain * 12 / 10 < five && five * 15 / 10 < hour, "{plain} {five} {hour}");

    let text = json!({ "type": "text", "text": "hello", "cache_control": short });
    let request = json!({
        "model": "gpt-4o-mini", "max_tokens": 5, "messages": [{ "role": "user", "content": [text] }],
    });
    owner.post("/v1/chat/completions", request).await.ok();
    let sent = app.simulators.ai.state().calls.back().unwrap().body.to_string();
    assert!(!sent.contains("cache_control"), "{sent}");

    sqlx::query(
        "update prices set cache_write_per_million = null, long_cache_write_per_million = null",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    // The price book is kept for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let request = json!({
        "model": "claude-haiku-4-5", "max_tokens": 5, "cache_control": { "type": "ephemeral" },
        "messages": [{ "role": "user", "content": "hello" }],
    });
    let refused = owner.post("/v1/messages", request).await;
    assert_eq!(refused.problem(), (422, "unpriced_cache".into()));
}
