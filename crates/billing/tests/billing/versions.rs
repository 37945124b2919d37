//! Events of old versions of Stripe's API say the same.

use chrono::TimeDelta;
use simulators::stripe::{Card, Delivery};
use testing::TestApp;

use crate::{
    returns::refunded_at_dashboard,
    support::{
        at_stripe, bought, buy, credits, live, pay, plan, settle, signed_in_again, subscription,
    },
};

#[tokio::test]
async fn what_is_told_in_an_old_version_is_handed_out_renewed_taken_back_and_ended() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let old = Delivery { api_version: Some("2023-10-16".into()), ..Delivery::default() };
    app.simulators.stripe.deliver_as(old);
    pay(&app, &buy(&owner, "pack-100").await.ok());
    settle(&app).await;
    assert_eq!(credits(&owner).await, 100);
    refunded_at_dashboard(&app, "800").await;
    assert_eq!(credits(&owner).await, 50);

    bought(&app, &owner, "plan-creator-month").await;
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("creator", 150));
    live(&app, TimeDelta::days(32)).await;
    let owner = signed_in_again(&owner).await;
    assert_eq!(credits(&owner).await, 150, "the next month's");
    let customer = at_stripe(&app, "customer")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.set_card(&customer, Card::Declined).unwrap();
    live(&app, TimeDelta::days(31)).await;
    assert_eq!(subscription(&owner).await["status"], "past_due");
    app.assert_books_balance().await;
}
