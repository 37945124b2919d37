//! What better plans, seats and years are worth in credits, and what of it goes back with its money.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::Delivery;
use testing::{Client, TestApp};

use crate::support::{
    at_dashboard, at_stripe, bought, count, credits, live, settle, signed_in_again, subscription,
};

const PATH: &str = "/v1/billing/subscription";

async fn change(app: &TestApp, client: &Client, input: Value) {
    signed_in_again(client).await.patch(PATH, input).await.ok();
    settle(app).await;
}

/// Gives back so much of the payment of `paid` cents, in Stripe's dashboard.
async fn refund(app: &TestApp, paid: i64, amount: i64) {
    let charges = at_stripe(app, "charge");
    let charge = charges.iter().find(|it| it["amount"] == paid).expect("a payment of so much");
    let amount = amount.to_string();
    let form = [("charge", charge["id"].as_str().unwrap()), ("amount", amount.as_str())];
    at_dashboard(app, Method::POST, "refunds", &form).await;
    settle(app).await;
}

async fn reconcile(app: &TestApp) -> Value {
    app.operator().await.post("/admin/v1/billing/reconciliations", json!({})).await.ok()
}

async fn credits_of(client: &Client) -> i64 {
    credits(&signed_in_again(client).await).await
}

/// Somebody on creator, half of whose month has passed.
async fn at_half_time() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    half_of_what_is_left(&app, &owner).await;
    (app, owner)
}

async fn half_of_what_is_left(app: &TestApp, client: &Client) {
    let it = subscription(client).await;
    let end: chrono::DateTime<chrono::Utc> =
        it["current_period_end"].as_str().unwrap().parse().unwrap();
    app.advance((end - app.clock.now()) / 2);
}

#[tokio::test]
async fn a_refunded_seat_takes_no_credits_of_the_upgrade_before_it() {
    let (app, owner) = at_half_time().await;
    change(&app, &owner, json!({ "item": "plan-pro-month" })).await;
    change(&app, &owner, json!({ "extra_seats": 1 })).await;
    assert_eq!(credits_of(&owner).await, 300);
    refund(&app, 500, 500).await;
    assert_eq!(credits_of(&owner).await, 300, "a seat gives no credits");
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 300);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refunded_upgrade_stays_taken_back_whatever_goes_back_of_a_seat() {
    let (app, owner) = at_half_time().await;
    change(&app, &owner, json!({ "item": "plan-pro-month" })).await;
    change(&app, &owner, json!({ "extra_seats": 1 })).await;
    refund(&app, 1_500, 1_500).await;
    assert_eq!(credits_of(&owner).await, 100);
    refund(&app, 500, 1).await;
    assert_eq!(credits_of(&owner).await, 100);
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 100);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn each_of_two_upgrades_in_a_month_takes_back_its_own() {
    let (app, owner) = at_half_time().await;
    change(&app, &owner, json!({ "item": "plan-pro-month" })).await;
    half_of_what_is_left(&app, &owner).await;
    change(&app, &owner, json!({ "item": "plan-agency-month" })).await;
    assert_eq!(credits_of(&owner).await, 100 + 200 + 500, "a half of 400 and a quarter of 2000");
    refund(&app, 3_750, 3_750).await;
    assert_eq!(credits_of(&owner).await, 300);
    refund(&app, 1_500, 750).await;
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 200);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refunded_seat_of_a_year_takes_nothing_of_its_later_months() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-year").await;
    live(&app, TimeDelta::days(2)).await;
    change(&app, &owner, json!({ "extra_seats": 1 })).await;
    let charges = at_stripe(&app, "charge");
    let seat = charges.iter().filter_map(|it| it["amount"].as_i64()).min().unwrap();
    refund(&app, seat, seat).await;
    assert_eq!(credits_of(&owner).await, 500);
    live(&app, TimeDelta::days(32)).await;
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 500);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refunded_upgrade_of_a_year_takes_the_difference_of_its_later_months() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-year").await;
    live(&app, TimeDelta::days(2)).await;
    change(&app, &owner, json!({ "item": "plan-pro-year" })).await;
    live(&app, TimeDelta::days(32)).await;
    assert_eq!(credits_of(&owner).await, 500);
    let charges = at_stripe(&app, "charge");
    let paid = |amount: i64| amount != 19_000;
    let upgrade = charges.iter().filter_map(|it| it["amount"].as_i64()).find(|it| paid(*it));
    refund(&app, upgrade.unwrap(), upgrade.unwrap()).await;
    assert_eq!(credits_of(&owner).await, 100);
    live(&app, TimeDelta::days(32)).await;
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 100, "the next month's too");
    refund(&app, 19_000, 9_500).await;
    assert_eq!(credits_of(&owner).await, 50);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refunded_month_takes_nothing_of_the_year_that_began_within_it() {
    let (app, owner) = at_half_time().await;
    change(&app, &owner, json!({ "item": "plan-creator-year" })).await;
    assert_eq!(credits_of(&owner).await, 200, "what is left of the month, and one of the year");
    refund(&app, 1_900, 1_900).await;
    assert_eq!(credits_of(&owner).await, 100);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn two_upgrades_heard_of_at_once_give_what_each_of_them_paid_for() {
    let (app, owner) = at_half_time().await;
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    at_stripe_change(&app, "plan-pro-month").await;
    half_of_what_is_left(&app, &owner).await;
    at_stripe_change(&app, "plan-agency-month").await;
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 100 + 200 + 500);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_renewal_heard_of_after_an_upgrade_gives_the_month_that_was_renewed_and_the_difference() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let it = subscription(&owner).await;
    let end: chrono::DateTime<chrono::Utc> =
        it["current_period_end"].as_str().unwrap().parse().unwrap();
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    app.advance(end + TimeDelta::hours(2) - app.clock.now());
    app.simulators.stripe.live_until(app.clock.now().timestamp()).unwrap();
    let it = at_stripe(&app, "subscription").remove(0);
    let end = it["items"]["data"][0]["current_period_end"].as_i64().unwrap();
    let start = it["items"]["data"][0]["current_period_start"].as_i64().unwrap();
    app.advance(TimeDelta::seconds(i64::midpoint(start, end) - app.clock.now().timestamp()));
    at_stripe_change(&app, "plan-pro-month").await;
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 100 + 200);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_year_gives_nothing_more_once_a_dearer_plan_has_taken_its_place() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-year").await;
    live(&app, TimeDelta::days(40)).await;
    change(&app, &owner, json!({ "item": "plan-agency-month" })).await;
    assert_eq!(credits_of(&owner).await, 500 + 2_500, "what is left of the year's second month");
    // What Stripe owes them for the year pays for renewals, not for packs.
    bought(&app, &signed_in_again(&owner).await, "pack-10").await;
    assert!(at_stripe(&app, "charge").iter().any(|it| it["amount"] == 200));
    live(&app, TimeDelta::days(64)).await;
    assert_eq!(credits_of(&owner).await, 2_500 + 10);
    assert_eq!(reconcile(&app).await["findings"], json!([]));
    assert_eq!(count(&app, "select count(*) from grants").await, 2 + 3 + 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_year_that_was_paid_and_changed_before_anybody_heard_of_it_gives_what_it_was_paid_for() {
    let (app, owner) = at_half_time().await;
    // Their prices are known from here on.
    for plan in ["plan-pro-year", "plan-agency-month"] {
        bought(&app, &app.owner().await, plan).await;
    }
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    at_stripe_change(&app, "plan-pro-year").await;
    app.advance(TimeDelta::days(3));
    at_stripe_change(&app, "plan-agency-month").await;
    reconcile(&app).await;
    assert_eq!(credits_of(&owner).await, 100 + 500 + 2_500);
    assert_eq!(reconcile(&app).await["findings"], json!([]));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_downgrade_that_is_planned_makes_room_for_the_end_in_the_same_change() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-agency-month").await;
    change(&app, &owner, json!({ "item": "plan-pro-month" })).await;
    change(&app, &owner, json!({ "item": "plan-creator-month", "cancel_at_period_end": true }))
        .await;
    let it = subscription(&owner).await;
    assert_eq!((&it["cancel_at_period_end"], &it["next"]), (&json!(true), &Value::Null), "{it}");
    live(&app, TimeDelta::days(32)).await;
    assert_eq!(subscription(&owner).await["status"], "canceled");
}

/// Changes the plan of the first subscription in Stripe's dashboard, billed at once.
async fn at_stripe_change(app: &TestApp, plan: &str) {
    let prices = app.simulators.stripe.state().unwrap()["state"]["objects"]["price"].clone();
    let known = |prices: &Value| -> Option<String> {
        let all = prices.as_object()?;
        let price = all.values().find(|price| price["lookup_key"] == plan)?;
        price["id"].as_str().map(str::to_owned)
    };
    let price = if let Some(price) = known(&prices) {
        price
    } else {
        bought(app, &app.owner().await, plan).await;
        let state = app.simulators.stripe.state().unwrap();
        known(&state["state"]["objects"]["price"]).expect("a price")
    };
    let mut all = at_stripe(app, "subscription");
    all.sort_by_key(|it| it["created"].as_i64());
    let item = all[0]["items"]["data"][0]["id"].as_str().unwrap();
    let form = [
        ("items[0][id]", item),
        ("items[0][price]", price.as_str()),
        ("proration_behavior", "always_invoice"),
    ];
    let path = format!("subscriptions/{}", all[0]["id"].as_str().unwrap());
    at_dashboard(app, Method::POST, &path, &form).await;
}
