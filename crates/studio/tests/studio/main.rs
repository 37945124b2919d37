//! What people have models make, through the API.

mod cancelling;
mod conversations;
mod creations;
mod preferences;
mod retention;
mod retries;
mod templates;

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulators::ai::Endpoint;
use testing::{Client, TestApp};

/// The product, and an owner who has credits for what the plan does not include.
async fn start() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let grant = quotas::NewGrant {
        org: owner.org(),
        source: quotas::GrantSource::Admin,
        amount: 1_000,
        expires_at: None,
        external_id: format!("test:{}", owner.org()),
    };
    let mut tx = app.db.begin().await.unwrap();
    assert!(grant.give(&mut tx, app.clock.now()).await.unwrap());
    tx.commit().await.unwrap();
    (app, owner)
}

/// An order of a creation for each brief.
fn briefs(briefs: &[&str]) -> Value {
    let items: Vec<_> = briefs.iter().map(|brief| json!({ "brief": brief })).collect();
    json!({ "model": "gpt-4o-mini", "max_tokens": 50, "items": items })
}

/// Orders; answers the addresses of the job and of the creations.
async fn order(client: &Client, input: Value) -> (String, Vec<String>) {
    let reply = client.post("/v1/creations", input).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let job = reply.header("location").unwrap().to_owned();
    let ids = reply.ok()["creations"].as_array().unwrap().clone();
    (job, ids.iter().map(|id| format!("/v1/creations/{}", id.as_str().unwrap())).collect())
}

/// Orders one creation, and has it made; answers its address.
async fn made(app: &TestApp, client: &Client, brief: &str) -> String {
    let (_, mut creations) = order(client, briefs(&[brief])).await;
    app.run_jobs().await;
    creations.pop().unwrap()
}

fn asked(app: &TestApp) -> usize {
    app.simulators.ai.state().arrived(Endpoint::Chat)
}

/// What models were asked, the oldest first: the messages.
fn prompts(app: &TestApp) -> Vec<Value> {
    app.simulators.ai.state().calls.iter().map(|it| it.body["messages"].clone()).collect()
}

/// How many calls the customer paid for, and how many the platform.
async fn charged(app: &TestApp) -> (i64, i64) {
    app.quotas.settled().await;
    sqlx::query_as(
        "select count(*) filter (where outcome = 'succeeded'),
                count(*) filter (where outcome = 'unknown' and paid_by = 'platform')
         from usage_records",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

async fn purge(app: &TestApp, after: TimeDelta) {
    app.advance(after);
    let purge = "select graphile_worker.add_job('studio.purge', '{\"job\": {}}'::json)";
    sqlx::query(purge).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
}
