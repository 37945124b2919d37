//! Kill -9 of the real program between Stripe's answer and our commit, reached by a row lock that the
//! test holds: the next comparison with Stripe finds what happened, once.

use serde_json::{Value, json};
use simulators::stripe::{Card, Delivery};
use sqlx::{Postgres, Transaction};
use testing::{Client, TestApp};

use crate::{
    kills::{locked, waits},
    processes::{Process, eventually},
};

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

/// Kills it, and waits until Postgres no longer works for the dead.
async fn kill(app: &TestApp, mut process: Process, lock: Transaction<'static, Postgres>) {
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    eventually("nobody waits", async || !waits(app).await).await;
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
        refunds_at_stripe(&app) == 1 && waits(&app).await
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
    eventually("the payment waits to be booked", async || waits(&app).await).await;
    kill(&app, process, lock).await;
    assert_eq!(credits(&app).await, 0, "nothing is booked");

    let process = Process::beside(&app, directory.path()).await;
    reconcile(&operator, &process).await;
    assert_eq!(credits(&app).await, 100);
    assert_eq!(reconcile(&operator, &process).await.len(), 0);
    app.assert_books_balance().await;
}

/// Has every change of a row of `table` wait until the returned transaction ends.
async fn held_up(app: &TestApp, table: &str) -> Transaction<'static, Postgres> {
    let trigger = format!(
        "create function wait_for_the_test() returns trigger language plpgsql as
             'begin perform pg_advisory_xact_lock(4711); return new; end';
         create trigger wait_for_the_test before update on {table}
             for each row execute function wait_for_the_test()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(app.db.pool()).await.unwrap();
    locked(app, "select pg_advisory_xact_lock(4711)").await
}

fn at_stripe(app: &TestApp, kind: &str) -> Vec<Value> {
    let state = app.simulators.stripe.state().unwrap();
    let objects = state["state"]["objects"][kind].as_object().cloned().unwrap_or_default();
    objects.into_iter().map(|(_, object)| object).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_the_meters_answer_and_the_commit_overage_is_billed_once() {
    let app = TestApp::live().await;
    let catalogue = include_str!("../../../billing/catalogue.toml");
    let catalogue = catalogue
        .replace("overage_cents = 0", "overage_cents = 25")
        .replace("generations_per_day = ", "generations_per_day = 0 # ")
        .replace(
            "credits_per_month = 500\n",
            "credits_per_month = 100\noverage_credits_per_month = 9\n",
        )
        .replace(
            "credits_per_month = 2_500\n",
            "credits_per_month = 100\noverage_credits_per_month = 9\n",
        );
    app.billing.sync_catalogue(Some(&catalogue), false).await.unwrap();
    let (owner, operator) = (app.owner().await, app.operator().await);
    let session = checkout(&owner, "plan-pro-month").await;
    app.simulators.stripe.pay(&session, Card::Accepted).unwrap();
    app.simulators.stripe.settled().await;
    app.run_jobs().await;
    owner.patch("/v1/billing/subscription", json!({ "overage_credits": 9 })).await.ok();
    // As if the plan's credits were used.
    sqlx::query("update grants set expires_at = now() where source = 'plan'")
        .execute(app.db.pool())
        .await
        .unwrap();
    app.quotas.expire_grants().await.unwrap();
    let chat = json!({ "model": "gpt-4o-mini", "max_tokens": 5,
                       "messages": [{ "role": "user", "content": "Hi" }] });
    owner.post("/v1/chat/completions", chat).await.ok();
    app.quotas.settled().await;
    let directory = tempfile::tempdir().unwrap();
    let lock = held_up(&app, "overage_reports").await;
    let process = Process::beside(&app, directory.path()).await;
    let report = "select graphile_worker.add_job('billing.report_overage', '{\"job\": {}}'::json)";
    sqlx::query(report).execute(app.db.pool()).await.unwrap();
    eventually("the meter's answer waits to be noted", async || {
        at_stripe(&app, "billing.meter_event").len() == 1 && waits(&app).await
    })
    .await;
    kill(&app, process, lock).await;
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from overage_reports where sent_at is null")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(waiting, 1, "nothing is noted");

    let process = Process::beside(&app, directory.path()).await;
    assert_eq!(reconcile(&operator, &process).await.len(), 0);
    assert_eq!(at_stripe(&app, "billing.meter_event").len(), 1, "it counts once");
    let sent: i64 = sqlx::query_scalar(
        "select sum(credits)::bigint from overage_reports where sent_at is not null",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!(sent, 1);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_stripes_answer_and_the_commit_a_change_of_plan_is_found() {
    let app = TestApp::live().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let session = checkout(&owner, "plan-agency-month").await;
    app.simulators.stripe.pay(&session, Card::Accepted).unwrap();
    app.simulators.stripe.settled().await;
    app.run_jobs().await;
    lose_events(&app, true);
    let directory = tempfile::tempdir().unwrap();
    let process = Process::beside(&app, directory.path()).await;
    let lock = held_up(&app, "subscription_changes").await;
    let client = owner.at(&process.url);
    tokio::spawn(async move {
        let change = client.request(reqwest::Method::PATCH, "/v1/billing/subscription");
        change.json(&json!({ "item": "plan-creator-month" })).send().await.ok();
    });
    eventually("the answer waits to be noted", async || {
        let planned = at_stripe(&app, "subscription_schedule");
        planned.iter().any(|it| it["phases"].as_array().unwrap().len() == 2) && waits(&app).await
    })
    .await;
    kill(&app, process, lock).await;
    assert!(owner.get("/v1/billing/subscription").await.ok()["next"].is_null());

    let process = Process::beside(&app, directory.path()).await;
    let found = reconcile(&operator, &process).await;
    assert_eq!((found.len(), &found[0]["repaired"]), (1, &json!(true)), "{found:?}");
    let shown = owner.get("/v1/billing/subscription").await.ok();
    assert_eq!(shown["next"]["plan"], "creator");
    assert_eq!(reconcile(&operator, &process).await.len(), 0);
}
