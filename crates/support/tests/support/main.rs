//! What people ask, are told and go through, through the API of the whole product.

mod feedback;
mod notifications;
mod onboarding;
mod tickets;

use serde_json::{Value, json};
use testing::{Client, TestApp};

async fn open(client: &Client, subject: &str) -> Value {
    client.post("/v1/tickets", json!({ "subject": subject, "text": "It does not end" })).await.ok()
}

async fn answer(operator: &Client, ticket: &Value, text: &str) -> Value {
    let path = format!("/admin/v1/tickets/{}/messages", ticket["id"].as_str().unwrap());
    operator.post(&path, json!({ "text": text })).await.ok()
}

/// Queues a job that runs by the clock, and runs it.
async fn run(app: &TestApp, job: &str) {
    sqlx::query("select from graphile_worker.add_job($1, '{\"job\": {}}')")
        .bind(job)
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let query = format!("select count(*) from {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(app.db.pool()).await.unwrap()
}
