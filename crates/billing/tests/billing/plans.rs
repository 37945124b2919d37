use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Card, Delivery};
use testing::TestApp;

use crate::support::{
    at_dashboard, at_stripe, bought, buy, count, credits, outcomes, pay, plan, send_event, settle,
};

fn subscription(app: &TestApp) -> String {
    at_stripe(app, "subscription")[0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_paid_plan_is_in_force_with_its_credits() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    assert_eq!(plan(&owner).await, "free");
    let none = owner.get("/v1/billing/subscription").await;
    assert_eq!(none.problem(), (404, "not_subscribed".into()));

    bought(&app, &owner, "plan-pro-month").await;
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("pro", 500));
    let shown = owner.get("/v1/billing/subscription").await.ok();
    assert_eq!((&shown["plan"], &shown["interval"]), (&json!("pro"), &json!("month")));
    assert_eq!(
        (&shown["status"], &shown["cancel_at_period_end"]),
        (&json!("active"), &json!(false))
    );
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(payments["items"].as_array().unwrap().len(), 1);
    assert_eq!(payments["items"][0]["amount_cents"], 4900);
    assert_eq!(payments["items"][0]["item"], "plan-pro-month");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_order_and_number_of_a_subscriptions_events_do_not_matter() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.stripe.deliver_as(Delivery { copies: 3, reverse: true, ..Delivery::default() });
    pay(&app, &buy(&owner, "plan-pro-month").await.ok());
    app.simulators.stripe.settled().await;
    join_all((0..4).map(|_| app.run_jobs())).await;
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("pro", 500));
    assert_eq!(count(&app, "select count(*) from payments").await, 1);
    for kind in ["customer.subscription.created", "invoice.paid", "checkout.session.completed"] {
        assert_eq!(outcomes(&app, kind).await, [Some("applied".into())], "{kind}");
    }
    app.assert_books_balance().await;
}

#[tokio::test]
async fn each_paid_period_gives_credits_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    app.simulators.stripe.advance(&subscription(&app), Card::Accepted).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 200);
    for event in app.simulators.stripe.events() {
        let id = event["id"].as_str().unwrap();
        app.simulators.stripe.redeliver(id, 2, true).await.unwrap();
    }
    app.run_jobs().await;
    assert_eq!(credits(&owner).await, 200);
    assert_eq!(count(&app, "select count(*) from payments").await, 2);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn credits_of_a_period_end_with_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let end = owner.get("/v1/billing/subscription").await.ok()["current_period_end"].clone();
    assert_eq!(expiry(&app).await, end);
}

#[tokio::test]
async fn a_year_gives_the_credits_of_its_first_month_for_one_month() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-year").await;
    assert_eq!(credits(&owner).await, 100);
    let shown = owner.get("/v1/billing/subscription").await.ok();
    assert_eq!(shown["interval"], "year");
    let days = count(&app, "select extract(day from expires_at - created_at)::bigint from grants");
    assert!((27..=31).contains(&days.await));
    assert_eq!(owner.get("/v1/billing/payments").await.ok()["items"][0]["amount_cents"], 19_000);
}

async fn expiry(app: &TestApp) -> Value {
    let expiry: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select expires_at from grants").fetch_one(app.db.pool()).await.unwrap();
    serde_json::to_value(expiry).unwrap()
}

#[tokio::test]
async fn a_renewal_that_fails_keeps_the_plan_but_gives_nothing_until_it_is_paid() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let renewed = app.simulators.stripe.advance(&subscription(&app), Card::Declined).unwrap();
    settle(&app).await;
    assert_eq!(owner.get("/v1/billing/subscription").await.ok()["status"], "past_due");
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("creator", 100));

    let invoice = renewed["latest_invoice"].as_str().unwrap();
    at_dashboard(&app, Method::POST, &format!("invoices/{invoice}/pay"), &[]).await;
    settle(&app).await;
    assert_eq!(owner.get("/v1/billing/subscription").await.ok()["status"], "active");
    assert_eq!(credits(&owner).await, 200);
}

#[tokio::test]
async fn a_cancelled_subscription_leaves_the_free_plan_and_the_credits_paid_for() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let path = format!("subscriptions/{}", subscription(&app));
    at_dashboard(&app, Method::DELETE, &path, &[]).await;
    settle(&app).await;
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("free", 100));
    assert_eq!(owner.get("/v1/billing/subscription").await.ok()["status"], "canceled");

    bought(&app, &owner, "plan-pro-month").await;
    assert_eq!(plan(&owner).await, "pro", "who left may come back");
}

#[tokio::test]
async fn news_of_an_old_subscription_does_not_end_the_new_one() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let path = format!("subscriptions/{}", subscription(&app));
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    at_dashboard(&app, Method::DELETE, &path, &[]).await;
    let deleted = app.simulators.stripe.events().pop().unwrap();
    app.simulators.stripe.deliver_as(Delivery::default());
    // The news of its end is lost, but any other about the customer brings the same to light.
    let other = json!({ "id": "evt_other", "type": "invoice.updated", "livemode": false,
                        "data": { "object": { "customer": at_stripe(&app, "customer")[0]["id"] } } });
    send_event(&app, &other).await.ok_text();
    app.run_jobs().await;
    bought(&app, &owner, "plan-pro-month").await;

    let id = deleted["id"].as_str().unwrap();
    app.simulators.stripe.redeliver(id, 1, false).await.unwrap();
    app.run_jobs().await;
    assert_eq!(plan(&owner).await, "pro");
}

#[tokio::test]
async fn a_subscription_that_no_checkout_of_the_org_started_changes_nothing() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    bought(&app, &other, "plan-agency-month").await;
    let theirs = subscription(&app);
    // The other org's subscription claims to be of a checkout of ours.
    let ours = buy(&owner, "plan-pro-month").await.ok();
    let form = [("metadata[checkout_id]", ours["id"].as_str().unwrap())];
    at_dashboard(&app, Method::POST, &format!("subscriptions/{theirs}"), &form).await;
    settle(&app).await;
    assert_eq!(plan(&owner).await, "free");
    assert_eq!(outcomes(&app, "customer.subscription.updated").await, [Some("refused".into())]);
    assert_eq!(owner.get("/v1/billing/subscription").await.status, 404);
}
