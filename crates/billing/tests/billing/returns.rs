//! Money that goes back takes its credits with it, and brings them back.

use chrono::TimeDelta;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::Delivery;
use testing::{Client, Reply, TestApp};

use crate::support::{
    at_dashboard, at_stripe, bought, count, credits, settle, signed_in_again, upkeep,
};

/// Somebody who bought 100 credits for $16.00, and an operator.
pub(crate) async fn buyer(app: &TestApp) -> (Client, Client, String) {
    let owner = app.owner().await;
    bought(app, &owner, "pack-100").await;
    let payments = owner.get("/v1/billing/payments").await.ok();
    let payment = payments["items"][0]["id"].as_str().unwrap().to_owned();
    (owner, app.operator().await, payment)
}

pub(crate) fn charge(app: &TestApp) -> String {
    at_stripe(app, "charge")[0]["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn refund(operator: &Client, payment: &str, key: &str, amount: Value) -> Reply {
    let path = format!("/admin/v1/billing/payments/{payment}/refunds");
    let body = json!({ "amount_cents": amount, "reason": "as agreed by phone" });
    operator.header("idempotency-key", key).post(&path, body).await
}

/// A refund as it is made in Stripe's dashboard.
pub(crate) async fn refunded_at_dashboard(app: &TestApp, amount: &str) -> Value {
    let charge = charge(app);
    let form = [("charge", charge.as_str()), ("amount", amount)];
    let refund = at_dashboard(app, Method::POST, "refunds", &form).await;
    settle(app).await;
    refund
}

/// What the ledger has with Stripe for us, in cents.
pub(crate) async fn with_stripe(app: &TestApp) -> i64 {
    count(
        app,
        "select coalesce(sum(case 'stripe' when to_account then amount when from_account then -amount end), 0)::bigint
         from ledger_entries where unit = 'usd' and external_id not like 'fee:%'",
    )
    .await
}

#[tokio::test]
async fn two_partial_refunds_take_back_their_parts_and_the_last_one_all() {
    let app = TestApp::start().await;
    let (owner, operator, payment) = buyer(&app).await;

    let first = refund(&operator, &payment, "1", json!(533)).await;
    assert_eq!(first.status, 201);
    let first = first.ok();
    assert_eq!((&first["status"], &first["amount_cents"]), (&json!("succeeded"), &json!(533)));
    assert_eq!(credits(&owner).await, 67, "33.3 credits, rounded for the customer");
    app.assert_books_balance().await;

    refund(&operator, &payment, "2", json!(533)).await.ok();
    assert_eq!(credits(&owner).await, 34, "66.6 in all");
    refund(&operator, &payment, "3", Value::Null).await.ok();
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (0, 0));
    settle(&app).await;
    let more = refund(&operator, &payment, "4", json!(1)).await;
    assert_eq!(more.problem(), (409, "refund_too_large".into()));
    assert_eq!(at_stripe(&app, "refund").len(), 3);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_with_the_same_key_is_made_once_and_another_one_is_refused() {
    let app = TestApp::start().await;
    let (owner, operator, payment) = buyer(&app).await;
    let replies = join_all((0..5).map(|_| refund(&operator, &payment, "key", json!(800)))).await;
    let ids: Vec<Value> = replies.into_iter().map(|it| it.ok()["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!((at_stripe(&app, "refund").len(), credits(&owner).await), (1, 50));

    let other = refund(&operator, &payment, "key", json!(801)).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    let path = format!("/admin/v1/billing/payments/{payment}/refunds");
    let nameless = operator.post(&path, json!({ "reason": "x" })).await;
    assert_eq!(nameless.problem(), (400, "idempotency_key_required".into()));
    let audited =
        count(&app, "select count(*) from audit_events where action = 'refund.requested'");
    assert_eq!(audited.await, 1);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_at_once_never_give_back_more_than_was_paid() {
    let app = TestApp::start().await;
    let (owner, operator, payment) = buyer(&app).await;
    let keys: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let replies =
        join_all(keys.iter().map(|key| refund(&operator, &payment, key, json!(500)))).await;
    let made = replies.iter().filter(|it| it.status.is_success()).count();
    assert_eq!(made, 3, "of 1600 cents: {replies:?}");
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (7, 100));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn only_operators_refund_and_say_why() {
    let app = TestApp::start().await;
    let (owner, operator, payment) = buyer(&app).await;
    assert_eq!(refund(&owner, &payment, "1", json!(1)).await.status, 403);
    assert_eq!(refund(&app.anonymous(), &payment, "1", json!(1)).await.status, 401);
    let path = format!("/admin/v1/billing/payments/{payment}/refunds");
    for body in [
        json!({ "reason": " " }),
        json!({ "reason": "x", "amount_cents": 0 }),
        json!({ "reason": "x", "amount_cents": -5 }),
        json!({ "reason": "x", "currency": "eur" }),
        json!({}),
    ] {
        let reply = operator.header("idempotency-key", "k").post(&path, body.clone()).await;
        assert_eq!(reply.status, 422, "{body}: {reply:?}");
    }
    let missing = refund(&operator, &uuid::Uuid::now_v7().to_string(), "1", json!(1)).await;
    assert_eq!(missing.problem(), (404, "no_such_payment".into()));
    assert_eq!(at_stripe(&app, "refund").len(), 0);
}

#[tokio::test]
async fn a_refund_that_is_heard_of_before_its_payment_is_applied_to_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    bought(&app, &owner, "pack-100").await;
    refunded_at_dashboard(&app, "800").await;
    assert_eq!(credits(&owner).await, 0, "nothing was heard of");

    let events = app.simulators.stripe.events();
    let refunded = events.iter().find(|it| it["type"] == "charge.refunded").unwrap();
    app.simulators.stripe.redeliver(refunded["id"].as_str().unwrap(), 1, false).await.unwrap();
    app.run_jobs().await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (50, 800));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refunded_month_takes_back_the_months_credits() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    assert_eq!(credits(&owner).await, 100);
    refunded_at_dashboard(&app, "950").await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (50, 950));
    bought(&app, &owner, "pack-10").await;
    assert_eq!(credits(&owner).await, 60, "those of another payment stay");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_that_waits_for_the_customer_counts_until_it_is_given_up() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    let refund = refunded_at_dashboard(&app, "800").await;
    let id = refund["id"].as_str().unwrap();
    for waits in [true, false, true, false] {
        app.simulators.stripe.hold_refund(id, waits).unwrap();
        settle(&app).await;
        assert_eq!((credits(&owner).await, with_stripe(&app).await), (50, 800), "waits: {waits}");
        app.assert_books_balance().await;
    }
    app.simulators.stripe.fail_refund(id).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (100, 1600));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn of_a_refunded_year_the_months_that_come_later_give_their_part_only() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let paid = bought(&app, &owner, "plan-creator-year").await;
    let half = paid["amount_total"].as_i64().unwrap() / 2;
    refunded_at_dashboard(&app, &half.to_string()).await;
    assert_eq!(credits(&owner).await, 50);

    app.advance(TimeDelta::days(32));
    upkeep(&app).await;
    let owner = signed_in_again(&owner).await;
    assert_eq!(credits(&owner).await, 50, "the second month");
    let operator = app.operator().await;
    operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    assert_eq!(credits(&owner).await, 50, "once");
    app.assert_books_balance().await;
}
