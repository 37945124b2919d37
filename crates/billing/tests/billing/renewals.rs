//! The hour after a renewal, in which its bill can still be changed and is not collected yet.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use simulators::stripe::Card;
use testing::{Client, Reply, TestApp};

use crate::support::{
    at_stripe, bought, credits, live, live_until, settle, signed_in_again, subscription,
};

const PATH: &str = "/v1/billing/subscription";

async fn change(client: &Client, input: Value) -> Reply {
    signed_in_again(client).await.patch(PATH, input).await
}

async fn period_end(client: &Client) -> DateTime<Utc> {
    subscription(client).await["current_period_end"].as_str().unwrap().parse().unwrap()
}

/// Somebody whose plan was renewed ten minutes ago.
async fn renewed(item: &str) -> (TestApp, Client) {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, item).await;
    let renewed = period_end(&owner).await + TimeDelta::minutes(10);
    live_until(&app, &renewed.to_rfc3339()).await;
    assert_eq!(subscription(&owner).await["status"], "active");
    (app, owner)
}

fn set_card(app: &TestApp, card: Card) {
    let customer = at_stripe(app, "customer")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.set_card(&customer, card).unwrap();
}

async fn credits_of(client: &Client) -> i64 {
    credits(&signed_in_again(client).await).await
}

#[tokio::test]
async fn a_seat_paid_before_the_renewal_does_not_pay_for_the_renewal() {
    let (app, owner) = renewed("plan-pro-month").await;
    change(&owner, json!({ "extra_seats": 1 })).await.ok();
    settle(&app).await;
    assert_eq!(credits_of(&owner).await, 0, "the renewal is not collected yet");

    set_card(&app, Card::Declined);
    live(&app, TimeDelta::hours(2)).await;
    assert_eq!(subscription(&owner).await["status"], "past_due");
    assert_eq!(credits_of(&owner).await, 0);
    let more = change(&owner, json!({ "extra_seats": 2 })).await;
    assert_eq!(more.problem(), (409, "subscription_not_changeable".into()));

    set_card(&app, Card::Accepted);
    live(&app, TimeDelta::days(4)).await;
    assert_eq!(subscription(&owner).await["status"], "active");
    assert_eq!(credits_of(&owner).await, 500);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_upgrade_paid_before_the_renewal_adds_to_the_month_once_that_is_paid() {
    let (app, owner) = renewed("plan-creator-month").await;
    change(&owner, json!({ "item": "plan-pro-month" })).await.ok();
    settle(&app).await;
    assert_eq!(credits_of(&owner).await, 0);
    live(&app, TimeDelta::hours(2)).await;
    let given = credits_of(&owner).await;
    assert!((498..500).contains(&given), "100 and nearly 400 more, not {given}");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_became_overdue_unheard_is_not_changed() {
    let (app, owner) = renewed("plan-pro-month").await;
    set_card(&app, Card::Declined);
    app.advance(TimeDelta::hours(2));
    app.simulators.stripe.live_until(app.clock.now().timestamp()).unwrap();
    app.simulators.stripe.settled().await;
    let more = change(&owner, json!({ "extra_seats": 1 })).await;
    assert_eq!(more.problem(), (409, "subscription_not_changeable".into()));
    assert_eq!(at_stripe(&app, "invoice").len(), 2, "nothing was billed");
}
