//! What the comparison with Stripe finds long after it happened.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::Value;
use simulators::stripe::Card;
use testing::TestApp;

use crate::{
    reconciliation::{kinds, lose_events, own, reconcile},
    returns::refunded_at_dashboard,
    support::{
        at_dashboard, at_stripe, bought, buy, credits, live, session_of, settle, signed_in_again,
    },
};

#[tokio::test]
async fn a_refund_that_comes_back_weeks_later_unheard_of_gives_the_credits_back() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "pack-100").await;
    let refund = refunded_at_dashboard(&app, "800").await;
    assert_eq!(kinds(&reconcile(&app.operator().await).await), []);
    lose_events(&app);
    app.advance(TimeDelta::days(20));
    app.simulators.stripe.fail_refund(refund["id"].as_str().unwrap()).unwrap();
    let report = reconcile(&app.operator().await).await;
    assert_eq!(kinds(&report), [("refund_differs".to_owned(), true)], "{report}");
    assert_eq!(credits(&signed_in_again(&owner).await).await, 100);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_payment_that_takes_weeks_to_come_is_found_although_its_events_were_lost() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let session = session_of(&buy(&owner, "pack-50").await.ok());
    app.simulators.stripe.pay_later(&session).unwrap();
    settle(&app).await;
    lose_events(&app);
    app.simulators.stripe.end_payment(&session, Card::Accepted).unwrap();
    for _ in 0..2 {
        // Somebody's comparison was whole on the way.
        app.advance(TimeDelta::days(10));
        sqlx::query(
            "insert into reconciliations (id, since, created_at, checked, findings)
             values (gen_random_uuid(), $1, $1, '{}', '[]')",
        )
        .bind(app.clock.now())
        .execute(app.db.pool())
        .await
        .unwrap();
    }
    let report = reconcile(&app.operator().await).await;
    assert_eq!(kinds(&report), [("payment_missing".to_owned(), true)], "{report}");
    assert_eq!(credits(&signed_in_again(&owner).await).await, 50);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_renewal_of_which_only_the_beginning_was_heard_gives_its_credits() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    let end = at_stripe(&app, "subscription")[0]["items"]["data"][0]["current_period_end"].clone();
    let renewed = end.as_i64().unwrap() + 600 - app.clock.now().timestamp();
    live(&app, TimeDelta::seconds(renewed)).await;
    assert_eq!(credits(&signed_in_again(&owner).await).await, 0);
    lose_events(&app);
    app.advance(TimeDelta::hours(2));
    app.simulators.stripe.live_until(app.clock.now().timestamp()).unwrap();
    let report = reconcile(&app.operator().await).await;
    assert_eq!(kinds(&report), [("payment_missing".to_owned(), true)], "{report}");
    assert_eq!(credits(&signed_in_again(&owner).await).await, 500);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn whoever_pays_for_a_subscription_that_is_not_their_orgs_is_reported_until_it_ends() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-creator-month").await;
    let mine = own(&app, 1_900);
    let price = mine["items"]["data"][0]["price"]["id"].as_str().unwrap();
    let customer = mine["customer"].as_str().unwrap();
    app.simulators.stripe.set_card(customer, Card::Accepted).unwrap();
    let form = [("customer", customer), ("items[0][price]", price)];
    let second = at_dashboard(&app, Method::POST, "subscriptions", &form).await;
    settle(&app).await;
    let strays = async || -> Vec<Value> {
        let report = reconcile(&operator).await;
        let mut findings = report["findings"].as_array().unwrap().clone();
        findings.retain(|it| it["kind"] == "subscription_unknown");
        findings.into_iter().map(|it| it["object"].clone()).collect()
    };
    for _ in 0..2 {
        assert_eq!(strays().await, std::slice::from_ref(&second["id"]));
    }
    let path = format!("subscriptions/{}", second["id"].as_str().unwrap());
    at_dashboard(&app, Method::DELETE, &path, &[]).await;
    settle(&app).await;
    assert_eq!(strays().await, [] as [Value; 0]);
    assert_eq!(owner.get("/v1/quotas").await.ok()["plan"], "creator");
}
