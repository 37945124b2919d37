//! Kill -9 of the real program between Stripe's answer and our commit, reached by a row lock that the
//! test holds: the next comparison with Stripe finds what happened, once.

use serde_json::{Value, json};
use simulators::stripe::{Card, Delivery};
use sqlx::{Postgres, Transaction};
use testing::{Client, TestApp};

use crate::processes::{Process, eventually};

async fn checkout(owner: &Client, item: &str) -> String {
    let checkout = owner.post("/v1/billing/checkout-sessions", json!({ "item": item })).await.ok();
    let url = checkout["url"].as_str().unwrap();
    url.rsplit('/').next().unwrap().to_owned()
}

fn lose_events(app: &TestApp, drop: bool) {
    app.simulators.stripe.deliver_as(Delivery { drop, ..Delivery::default() });
}

fn refunds_at_stripe(app: &TestApp) -> usize {
    let state = app.simulators.stripe.state().unwrap();
    state["state"]["objects"]["refund"].as_object().map_or(0, serde_json::Map::len)
}

async fn locked(app: &TestApp, statement: &'static str) -> Transaction<'static, Postgres> {
    let mut lock = app.db.begin().await.unwrap();
    sqlx::query(statement).execute(&mut *lock).await.unwrap();
    lock
}

async fn somebody_waits(app: &TestApp) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock')",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

/// Kills it, and waits until Postgres no longer works for the dead.
async fn kill(app: &TestApp, mut process: Process, lock: Transaction<'static, Postgres>) {
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    eventually("nobody waits", async || !somebody_waits(app).await).await;
    drop(lock);
}

async fn credits(app: &TestApp) -> i64 {
    sqlx::query_scalar("select coalesce(sum(amount - spent - revoked), 0)::bigint from grants")
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

async fn reconcile(operator: &Client, process: &Process) -> Vec<Value> {
    let operator = operator.at(&process.url);
    let report = operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    report["findings"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_stripes_answer_and_the_commit_a_refund_is_found_and_counted_once() {
    let app = TestApp::live().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let session = checkout(&owner, "pack-100").await;
    app.simulators.stripe.pay(&session, Card::Accepted).unwrap();
    app.simulators.stripe.settled().await;
    app.run_jobs().await;
    lose_events(&app, true);
    let payment = owner.get("/v1/billing/payments").await.ok()["items"][0]["id"].clone();
    let directory = tempfile::tempdir().unwrap();
    let process = Process::beside(&app, directory.path()).await;

    let lock = locked(&app, "select from stripe_customers for update").await;
    let path = format!("/admin/v1/billing/payments/{}/refunds", payment.as_str().unwrap());
    let client = operator.at(&process.url).header("idempotency-key", "1");
    tokio::spawn(async move {
        let refund = client.request(reqwest::Method::POST, &path);
        // The connection dies with the process.
        refund.json(&json!({ "amount_cents": 800, "reason": "half" })).send().await.ok();
    });
    eventually("the answer waits to be booked", async || {
        refunds_at_stripe(&app) == 1 && somebody_waits(&app).await
    })
    .await;
    kill(&app, process, lock).await;
    assert_eq!(credits(&app).await, 100, "nothing is booked");
    app.assert_books_balance().await;

    let process = Process::beside(&app, directory.path()).await;
    let found = reconcile(&operator, &process).await;
    assert_eq!((found[0]["kind"].as_str(), found.len()), (Some("refund_missing"), 1), "{found:?}");
    assert_eq!(found[0]["repaired"], true);
    assert_eq!(credits(&app).await, 50);
    let same = operator.at(&process.url).header("idempotency-key", "1");
    let path = format!("/admin/v1/billing/payments/{}/refunds", payment.as_str().unwrap());
    let again = same.post(&path, json!({ "amount_cents": 800, "reason": "half" })).await.ok();
    assert_eq!((again["status"].as_str(), refunds_at_stripe(&app)), (Some("succeeded"), 1));
    assert_eq!(reconcile(&operator, &process).await.len(), 0);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_a_payment_is_handed_out_it_is_handed_out_once() {
    let app = TestApp::live().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let session = checkout(&owner, "pack-100").await;
    let directory = tempfile::tempdir().unwrap();
    let process = Process::beside(&app, directory.path()).await;

    let lock = locked(&app, "select from checkouts for update").await;
    app.simulators.stripe.pay(&session, Card::Accepted).unwrap();
    eventually("the payment waits to be booked", async || somebody_waits(&app).await).await;
    kill(&app, process, lock).await;
    assert_eq!(credits(&app).await, 0, "nothing is booked");

    let process = Process::beside(&app, directory.path()).await;
    reconcile(&operator, &process).await;
    assert_eq!(credits(&app).await, 100);
    assert_eq!(reconcile(&operator, &process).await.len(), 0);
    app.assert_books_balance().await;
}
