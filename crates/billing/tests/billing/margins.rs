//! What goes back is no revenue: it is subtracted when it happens.

use chrono::{NaiveDate, TimeDelta};
use serde_json::json;
use simulators::stripe::{Complaint, Verdict};
use testing::TestApp;

use crate::{
    disputes::spend,
    returns::{buyer, charge, refund, refunded_at_dashboard},
    support::settle,
};

/// What was received and earned on a day, in cents.
async fn on(app: &TestApp, day: NaiveDate) -> (i64, i64) {
    let path = format!("/admin/v1/margins?from={day}&to={}", day + TimeDelta::days(1));
    let total = app.operator().await.get(&path).await.ok()["total"].clone();
    let cents = |name: &str| total[name].as_i64().unwrap() / 10_000_000;
    (cents("received_nano_usd"), cents("revenue_nano_usd"))
}

#[tokio::test]
async fn a_refund_is_subtracted_on_its_day_and_nothing_is_earned_of_what_went_back() {
    let app = TestApp::start().await;
    let (owner, _, payment) = buyer(&app).await;
    let first = app.clock.now().date_naive();
    spend(&app, &owner, 20).await;
    assert_eq!(on(&app, first).await, (1600, 320), "20 of 100 credits for $16.00");

    app.advance(TimeDelta::days(1));
    let second = app.clock.now().date_naive();
    refund(&app.operator().await, &payment, "1", json!(800)).await.ok();
    settle(&app).await;

    assert_eq!(on(&app, first).await, (1600, 320), "what was told is not changed");
    assert_eq!(
        on(&app, second).await,
        (-800, 0),
        "half of the credits went with half of the money"
    );
    app.advance(TimeDelta::days(1));
    let third = app.clock.now().date_naive();
    refund(&app.operator().await, &payment, "2", json!(800)).await.ok();
    settle(&app).await;
    assert_eq!(
        on(&app, third).await,
        (-800, -320),
        "the 20 credits that were spent are not paid either"
    );
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refund_that_fails_is_added_again() {
    let app = TestApp::start().await;
    buyer(&app).await;
    let refund = refunded_at_dashboard(&app, "1600").await;
    let today = app.clock.now().date_naive();
    assert_eq!(on(&app, today).await, (0, 0));

    app.simulators.stripe.fail_refund(refund["id"].as_str().unwrap()).unwrap();
    settle(&app).await;

    assert_eq!(on(&app, today).await, (1600, 0));
}

#[tokio::test]
async fn a_dispute_is_subtracted_when_the_bank_takes_the_money_and_added_when_it_is_won() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    spend(&app, &owner, 40).await;
    let today = app.clock.now().date_naive();
    assert_eq!(on(&app, today).await, (1600, 640));

    let dispute = app.simulators.stripe.dispute(&Complaint::about(charge(&app))).unwrap();
    settle(&app).await;
    assert_eq!(on(&app, today).await, (0, 0));

    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Won).unwrap();
    settle(&app).await;
    assert_eq!(on(&app, today).await, (1600, 640));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_lost_dispute_stays_subtracted() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    spend(&app, &owner, 100).await;
    let dispute = app.simulators.stripe.dispute(&Complaint::about(charge(&app))).unwrap();
    settle(&app).await;
    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Lost).unwrap();
    settle(&app).await;
    assert_eq!(on(&app, app.clock.now().date_naive()).await, (0, 0));
    app.assert_books_balance().await;
}
