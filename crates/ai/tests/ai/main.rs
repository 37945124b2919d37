//! The gateway against a provider that behaves, and one that does not.

mod anthropic;
mod batch_lane;
mod batches;
mod cache;
mod calls;
mod controls;
mod failures;
mod generations;
mod headers;
mod hygiene;
mod mails;
mod messages;
mod providers;
mod quotes;
mod races;
mod rejoining;
mod repetitions;
mod round_trips;
mod streams;
mod uploads;

use serde_json::{Value, json};
use simulators::ai::Endpoint;
use testing::{Client, TestApp};

/// A chat request without streaming.
fn chat() -> Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "hello" }],
        "max_tokens": 50,
    })
}

/// The same, streamed.
fn streamed() -> Value {
    let mut body = chat();
    body["stream"] = true.into();
    body
}

async fn usage(client: &Client) -> Value {
    client.get("/v1/usage").await.ok()["total"].clone()
}

/// What is left of the plan's generations today.
async fn left_today(client: &Client) -> i64 {
    let quotas = client.get("/v1/quotas").await.ok();
    let day = quotas["budgets"].as_array().unwrap().iter().find(|it| it["period"] == "day");
    day.unwrap()["remaining"].as_i64().unwrap()
}

/// Outcome, payer and cost of the one call that was made.
async fn only_record(app: &TestApp) -> (String, String, i64) {
    app.quotas.settled().await;
    sqlx::query_as("select outcome, paid_by, cost_nano_usd from usage_records")
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

fn provider_calls(app: &TestApp) -> usize {
    app.simulators.ai.state().arrived(Endpoint::Chat)
}
