//! What happens in an org, told to its own programs.

mod changes;
mod delivery;
mod endpoints;
mod failing;
mod lanes;
mod many;
mod outcomes;
mod product;
mod replays;
mod secrets;

use app::Event;
use serde::Serialize;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use utoipa::ToSchema;

/// Something that happens in these tests only.
#[derive(Serialize, ToSchema)]
struct Happened {
    number: i64,
}

impl Event for Happened {
    const TYPE: &'static str = "test.happened";
    const DESCRIPTION: &'static str = "Something happened in a test.";

    fn example() -> Self {
        Self { number: 1 }
    }
}

/// Lets it happen so many times in the org of `owner`.
async fn happen(app: &TestApp, owner: &Client, times: i64) {
    let mut tx = app.db.begin().await.unwrap();
    for number in 1..=times {
        let now = app.clock.now();
        webhooks::emit(&mut tx, owner.org(), &Happened { number }, now).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// An endpoint of `owner` at an address of the sink; answers it with its secret.
async fn listen(app: &TestApp, owner: &Client, path: &str) -> Value {
    let url = format!("{}{path}", app.simulators.sink.url());
    owner.post("/v1/webhook-endpoints", json!({ "url": url })).await.ok()
}

/// Somebody whose credentials outlive the days of a test.
async fn lasting_owner(app: &TestApp) -> Client {
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "lasting" })).await.ok();
    owner.with_key(key["secret"].as_str().unwrap())
}

fn path(endpoint: &Value) -> String {
    format!("/v1/webhook-endpoints/{}", endpoint["id"].as_str().unwrap())
}

/// Wakes who has something due, and does it.
async fn deliver(app: &TestApp) {
    app.webhooks.sweep().await.unwrap();
    app.run_jobs().await;
}

/// Another process has the lane of the only endpoint, and for long.
async fn taken_over(app: &TestApp) {
    let taken = "update webhook_endpoints
                 set lane = gen_random_uuid(), lane_until = clock_timestamp() + interval '1 hour'";
    execute(app, taken).await;
}

/// One column of the only row, as text.
async fn value(app: &TestApp, query: &'static str) -> Option<String> {
    sqlx::query_scalar(query).fetch_one(app.db.pool()).await.unwrap()
}

async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(app.db.pool()).await.unwrap()
}

async fn execute(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(app.db.pool()).await.unwrap();
}
