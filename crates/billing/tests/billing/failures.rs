//! A Stripe that fails while money goes back, or fails again and again.

use serde_json::{Value, json};
use simulators::stripe::{Delivery, Fault, Trouble};
use testing::{Client, Reply, TestApp};

use crate::support::{at_stripe, bought, buy, count, credits, plan, settle, signed_in_again};

const PATIENCE_MS: u64 = 1_500;
/// How often a call is tried.
const ATTEMPTS: u32 = 4;

async fn buyer() -> (TestApp, Client, Client, String) {
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = PATIENCE_MS).await;
    let owner = app.owner().await;
    bought(&app, &owner, "pack-100").await;
    let payments = owner.get("/v1/billing/payments").await.ok();
    let payment = payments["items"][0]["id"].as_str().unwrap().to_owned();
    let operator = app.operator().await;
    (app, owner, operator, payment)
}

async fn refund(operator: &Client, payment: &str) -> Reply {
    let path = format!("/admin/v1/billing/payments/{payment}/refunds");
    let body = json!({ "amount_cents": 800, "reason": "as agreed" });
    operator.header("idempotency-key", "key").post(&path, body).await
}

fn fail(app: &TestApp, path: &str, times: u32, trouble: Trouble) {
    app.simulators.stripe.fail(Fault { path: path.to_owned(), times, trouble });
}

/// The job that asks again is due in a minute of the database's clock.
async fn a_minute_later(app: &TestApp) {
    sqlx::query("update graphile_worker._private_jobs set run_at = now() - interval '1 second'")
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

/// Stripe fails for as long as the request asks; then the job asks again.
async fn recovers_from(trouble: Trouble) {
    let (app, owner, operator, payment) = buyer().await;
    fail(&app, "/v1/refunds", ATTEMPTS, trouble);
    let waiting = refund(&operator, &payment).await;
    assert_eq!(waiting.status, 202, "{trouble:?}: {waiting:?}");
    assert_eq!(waiting.ok()["status"], "requested");
    assert_eq!(credits(&owner).await, 100, "no success is claimed: {trouble:?}");
    app.assert_books_balance().await;

    app.simulators.stripe.heal();
    a_minute_later(&app).await;
    settle(&app).await;
    assert_eq!((at_stripe(&app, "refund").len(), credits(&owner).await), (1, 50), "{trouble:?}");
    assert_eq!(refund(&operator, &payment).await.ok()["status"], "succeeded", "the same one");
    assert_eq!(at_stripe(&app, "refund").len(), 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_recovers_from_stripes_own_failures() {
    Box::pin(recovers_from(Trouble::Status { status: 500 })).await;
}

#[tokio::test]
async fn a_refund_recovers_from_a_conflict() {
    Box::pin(recovers_from(Trouble::Status { status: 409 })).await;
}

#[tokio::test]
async fn a_refund_recovers_from_being_too_fast() {
    Box::pin(recovers_from(Trouble::Status { status: 429 })).await;
}

#[tokio::test]
async fn a_refund_recovers_from_cut_connections() {
    Box::pin(recovers_from(Trouble::Reset)).await;
}

#[tokio::test]
async fn a_refund_recovers_from_garbage() {
    Box::pin(recovers_from(Trouble::Garbage)).await;
}

#[tokio::test]
async fn a_refund_recovers_from_a_stripe_that_does_not_answer() {
    Box::pin(recovers_from(Trouble::Hang { milliseconds: 60_000 })).await;
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_made_once() {
    let (app, owner, operator, payment) = buyer().await;
    fail(&app, "/v1/refunds", 1, Trouble::DropAnswer);
    assert_eq!(refund(&operator, &payment).await.status, 201);
    settle(&app).await;
    assert_eq!((at_stripe(&app, "refund").len(), credits(&owner).await), (1, 50));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_whose_answers_were_lost_days_ago_is_not_made_again() {
    let (app, owner, operator, payment) = buyer().await;
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    fail(&app, "/v1/refunds", ATTEMPTS, Trouble::DropAnswer);
    assert_eq!(refund(&operator, &payment).await.status, 202);
    // Stripe forgets keys after a day.
    app.advance(chrono::TimeDelta::days(2));
    a_minute_later(&app).await;
    assert_eq!(at_stripe(&app, "refund").len(), 1);
    let owner = signed_in_again(&owner).await;
    assert_eq!(credits(&owner).await, 50);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_whose_job_is_gone_is_asked_for_when_books_are_compared() {
    let (app, owner, operator, payment) = buyer().await;
    fail(&app, "/v1/refunds", ATTEMPTS, Trouble::Status { status: 500 });
    assert_eq!(refund(&operator, &payment).await.status, 202);
    // Somebody discarded it.
    sqlx::query("delete from graphile_worker._private_jobs").execute(app.db.pool()).await.unwrap();
    app.simulators.stripe.heal();
    app.advance(chrono::TimeDelta::hours(2));

    let operator = app.operator().await;
    let report = operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    let found = &report["findings"][0];
    assert_eq!((&found["kind"], &found["repaired"]), (&json!("refund_unanswered"), &json!(true)));
    settle(&app).await;
    let owner = signed_in_again(&owner).await;
    assert_eq!((at_stripe(&app, "refund").len(), credits(&owner).await), (1, 50));
    let again = operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    assert_eq!(again["findings"], json!([]));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_that_stripe_refuses_says_so_and_takes_nothing_back() {
    let (app, owner, operator, payment) = buyer().await;
    fail(&app, "/v1/refunds", 1, Trouble::Status { status: 402 });
    let refused = refund(&operator, &payment).await;
    assert_eq!(refused.problem(), (409, "refund_refused".into()));
    app.simulators.stripe.heal();
    a_minute_later(&app).await;
    assert_eq!((at_stripe(&app, "refund").len(), credits(&owner).await), (0, 100));
    assert_eq!(count(&app, "select count(*) from refunds where status = 'failed'").await, 1);
    let again = refund(&operator, &payment).await;
    assert_eq!(again.problem(), (409, "refund_refused".into()), "the same key, the same answer");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stripe_that_fails_again_and_again_is_left_alone_for_a_while() {
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = PATIENCE_MS).await;
    let owner = app.owner().await;
    fail(&app, "/v1/customers", 5 * ATTEMPTS + 1, Trouble::Status { status: 500 });
    for _ in 0..5 {
        let failed = buy(&owner, "pack-10").await;
        assert_eq!(failed.problem(), (503, "payments_unavailable".into()));
    }
    let spared = buy(&owner, "pack-10").await;
    assert_eq!(spared.problem(), (503, "payments_unavailable".into()));
    let state = app.simulators.stripe.state().unwrap();
    let left: u64 = state["faults"].as_array().unwrap().iter().map(times).sum();
    assert_eq!(left, 1, "the sixth was not sent");
}

async fn subscriber() -> (TestApp, Client, String) {
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = PATIENCE_MS).await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let id = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    (app, owner, format!("/v1/subscriptions/{id}"))
}

async fn cancelled(app: &TestApp) -> i64 {
    count(app, "select count(*) from audit_events where action = 'subscription.cancelled'").await
}

#[tokio::test]
async fn a_cancellation_whose_answer_is_lost_is_made_once() {
    let (app, owner, path) = subscriber().await;
    fail(&app, &path, 1, Trouble::DropAnswer);
    assert_eq!(owner.delete("/v1/billing/subscription").await.ok()["status"], "canceled");
    settle(&app).await;
    assert_eq!((cancelled(&app).await, plan(&owner).await), (1, "free".to_owned()));
    assert_eq!(owner.delete("/v1/billing/subscription").await.status, 404);
    assert_eq!(cancelled(&app).await, 1);
}

#[tokio::test]
async fn a_cancellation_that_stripe_does_not_make_leaves_the_plan_until_it_does() {
    let (app, owner, path) = subscriber().await;
    for trouble in [Trouble::Status { status: 500 }, Trouble::Reset, Trouble::Garbage] {
        fail(&app, &path, ATTEMPTS, trouble);
        let failed = owner.delete("/v1/billing/subscription").await;
        assert_eq!(failed.problem(), (503, "payments_unavailable".into()), "{trouble:?}");
        assert_eq!((cancelled(&app).await, plan(&owner).await), (0, "creator".to_owned()));
        app.simulators.stripe.heal();
    }
    assert_eq!(owner.delete("/v1/billing/subscription").await.ok()["status"], "canceled");
    settle(&app).await;
    assert_eq!((cancelled(&app).await, plan(&owner).await), (1, "free".to_owned()));
    app.assert_books_balance().await;
}

fn times(fault: &Value) -> u64 {
    fault["times"].as_u64().unwrap_or_default()
}
