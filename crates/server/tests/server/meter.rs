//! There is no way around the meter.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testing::TestApp;

use crate::openapi::describe;

/// Every operation that asks a provider for something that is billed, and what may be sent there.
fn metered() -> Vec<(&'static str, Value)> {
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 5, "messages": [{ "role": "user", "content": "hello" }],
    });
    vec![
        ("/v1/chat/completions", chat.clone()),
        ("/v1/embeddings", json!({ "model": "text-embedding-3-small", "input": "hello" })),
        ("/v1/images/generations", json!({ "model": "gpt-image-1", "prompt": "a slipway" })),
        ("/v1/messages", chat),
    ]
}

/// Operations that ask no provider, or only for what is free. The calls of a batch go the way of others.
const FREE: [&str; 5] = [
    "/v1/batches",
    "/v1/batches/{id}/cancel",
    "/v1/files",
    "/v1/messages/count_tokens",
    "/v1/quotes",
];

#[tokio::test]
async fn no_operation_asks_a_provider_without_a_reservation() {
    let (document, _) = describe();
    let posts = document["paths"].as_object().unwrap().iter().filter(|(_, item)| {
        item["post"]["tags"].as_array().is_some_and(|tags| tags.contains(&json!("ai")))
    });
    let posts: BTreeSet<&str> = posts.map(|(path, _)| path.as_str()).collect();
    let known = metered().iter().map(|(path, _)| *path).chain(FREE).collect();
    assert_eq!(posts, known, "say of a new operation whether it is metered");

    let app = TestApp::start().await;
    let owner = app.owner().await;
    let budget = json!({ "scope": "org", "period": "month", "unit": "requests", "amount": 1 });
    owner.post("/v1/budgets", budget).await.ok();
    owner.post("/v1/chat/completions", metered()[0].1.clone()).await.ok();
    let asked = app.simulators.ai.state().generations();

    for (path, mut body) in metered() {
        let refused = owner.post(path, body.clone()).await;
        assert_eq!(refused.problem(), (429, "quota_exhausted".into()), "{path}");
        if body["messages"].is_array() {
            body["stream"] = true.into();
            let refused = owner.post(path, body).await;
            assert_eq!(refused.problem(), (429, "quota_exhausted".into()), "{path}, streamed");
        }
    }
    assert_eq!(app.simulators.ai.state().generations(), asked, "nobody was asked");
    app.assert_books_balance().await;
}
