use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{chat, only_record, provider_calls};

async fn quote(client: &Client, operation: &str, request: Value) -> Value {
    let body = json!({ "operation": operation, "request": request });
    client.post("/v1/quotes", body).await.ok()
}

/// The status and code of a chat that must keep to a quote.
async fn call(client: &Client, quote: &str, body: &Value) -> (StatusCode, Value) {
    let request = client.request(Method::POST, "/v1/chat/completions");
    let reply = request.header("x-slipway-quote", quote).json(body).send().await.unwrap();
    let status = reply.status();
    (status, reply.json::<Value>().await.unwrap()["code"].clone())
}

#[tokio::test]
async fn a_quote_says_the_most_that_a_call_can_cost_and_reserves_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let quote = quote(&owner, "chat", chat()).await;
    let called = call(&owner, quote["id"].as_str().unwrap(), &chat()).await;

    assert_eq!(called.0, StatusCode::OK);
    let (_, _, cost) = only_record(&app).await;
    let most = quote["max_cost_nano_usd"].as_i64().unwrap();
    assert!(cost <= most && most >= 50 * 600, "{cost} of at most {most}");
    assert_eq!(quote["max_credits"], 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_call_that_can_cost_more_than_its_quote_is_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let quote = quote(&owner, "chat", chat()).await;
    let mut longer = chat();
    longer["max_tokens"] = 51.into();

    let called = call(&owner, quote["id"].as_str().unwrap(), &longer).await;

    assert_eq!(called, (StatusCode::UNPROCESSABLE_ENTITY, json!("quote_exceeded")));
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn a_quote_is_its_orgs_alone_and_does_not_last() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let key = ours.post("/v1/api-keys", json!({ "name": "k" })).await.ok();
    let program = ours.with_key(key["secret"].as_str().unwrap());
    let quote = quote(&ours, "chat", chat()).await;
    let id = quote["id"].as_str().unwrap();
    let unknown = (StatusCode::UNPROCESSABLE_ENTITY, json!("unknown_quote"));

    assert_eq!(call(&theirs, id, &chat()).await, unknown);
    app.advance(chrono::TimeDelta::minutes(16));
    assert_eq!(call(&program, id, &chat()).await, unknown);
    assert_eq!(call(&program, "no-id", &chat()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn embeddings_and_images_are_quoted_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let vector = json!({ "model": "text-embedding-3-small", "input": "hello" });
    let vector = quote(&owner, "embedding", vector).await;
    let image = json!({ "model": "gpt-image-1", "prompt": "a slipway", "n": 2 });
    let image = quote(&owner, "image", image).await;

    assert!(vector["max_cost_nano_usd"].as_i64().unwrap() > 0);
    assert!(image["max_cost_nano_usd"].as_i64().unwrap() >= 2 * 6_240 * 40_000);
}
