use futures::future::join_all;
use serde_json::json;
use simulators::stripe::Card;
use testing::TestApp;

use crate::support::{
    at_stripe, bought, buy, count, credits, pay, session_of, settle, signed_in_again,
};

#[tokio::test]
async fn a_paid_pack_gives_its_credits_once_and_is_listed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let opened = buy(&owner, "pack-50").await;
    assert_eq!(opened.status, 201);
    let opened = opened.ok();
    assert_eq!((&opened["status"], &opened["item"]), (&json!("open"), &json!("pack-50")));
    assert_eq!(credits(&owner).await, 0);

    pay(&app, &opened);
    settle(&app).await;
    assert_eq!(credits(&owner).await, 50);
    let path = format!("/v1/billing/checkout-sessions/{}", opened["id"].as_str().unwrap());
    assert_eq!(owner.get(&path).await.ok()["status"], "paid");
    let payments = owner.get("/v1/billing/payments").await.ok();
    let payment = &payments["items"][0];
    assert_eq!((&payment["item"], &payment["amount_cents"]), (&json!("pack-50"), &json!(900)));
    assert_eq!(payment["currency"], "usd");
    assert_eq!(payments["items"].as_array().unwrap().len(), 1);

    bought(&app, &owner, "pack-50").await;
    assert_eq!(credits(&owner).await, 100, "the same can be bought again");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_client_names_an_item_and_nothing_else() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for extra in ["price", "amount", "unit_amount", "quantity", "currency", "plan", "customer"] {
        let body = json!({ "item": "pack-10", extra: 1 });
        let reply = owner.post("/v1/billing/checkout-sessions", body).await;
        assert_eq!(reply.problem(), (422, "invalid_body".into()), "{extra}");
    }
    for item in ["", "pack-11", "plan-free-month", "plan-pro", "price_123", "pack-10'--"] {
        assert_eq!(buy(&owner, item).await.problem(), (422, "unknown_item".into()), "{item}");
    }
    assert_eq!(at_stripe(&app, "checkout.session").len(), 0);

    buy(&owner, "pack-10").await.ok();
    assert_eq!(at_stripe(&app, "checkout.session")[0]["amount_total"], 200);
}

#[tokio::test]
async fn clicks_at_once_lead_to_one_page() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let replies = join_all((0..4).map(|_| buy(&owner, "pack-10"))).await;
    let pages: Vec<_> = replies.into_iter().map(testing::Reply::ok).collect();
    assert!(pages.iter().all(|page| page["url"] == pages[0]["url"]), "{pages:?}");
    assert_eq!(at_stripe(&app, "checkout.session").len(), 1);
    assert_eq!(at_stripe(&app, "customer").len(), 1);

    assert_eq!(buy(&owner, "pack-10").await.ok()["id"], pages[0]["id"]);
    assert_ne!(buy(&owner, "pack-50").await.ok()["id"], pages[0]["id"]);
    assert_eq!(at_stripe(&app, "customer").len(), 1);
}

#[tokio::test]
async fn only_one_plan_at_a_time_can_be_paid() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let creator = buy(&owner, "plan-creator-month").await.ok();
    let pro = buy(&owner, "plan-pro-month").await.ok();
    assert_eq!(pay(&app, &creator)["status"], "expired");
    pay(&app, &pro);
    settle(&app).await;
    assert_eq!(at_stripe(&app, "subscription").len(), 1);

    let again = buy(&owner, "plan-creator-month").await;
    assert_eq!(again.problem(), (409, "already_subscribed".into()));
    buy(&owner, "pack-10").await.ok();
}

#[tokio::test]
async fn a_plan_that_was_paid_while_another_was_chosen_is_in_force() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let creator = buy(&owner, "plan-creator-month").await.ok();
    app.simulators.stripe.set_webhook("http://127.0.0.1:9/nowhere");
    pay(&app, &creator);

    let pro = buy(&owner, "plan-pro-month").await;
    assert_eq!(pro.problem(), (409, "already_subscribed".into()));
    assert_eq!(owner.get("/v1/billing/subscription").await.ok()["plan"], "creator");
}

#[tokio::test]
async fn a_page_about_to_expire_is_replaced() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let first = buy(&owner, "pack-10").await.ok();
    app.advance(chrono::TimeDelta::hours(24) - chrono::TimeDelta::minutes(29));
    // A day later the first session is over, and so is Stripe's memory of keys.
    app.simulators.stripe.set_now(Some(app.clock.now().timestamp()));
    let owner = signed_in_again(&owner).await;
    let second = buy(&owner, "pack-10").await.ok();
    assert_ne!(session_of(&first), session_of(&second));
    assert_eq!(pay(&app, &first)["status"], "expired");
    assert_eq!(count(&app, "select count(*) from checkouts where status = 'open'").await, 1);
}

#[tokio::test]
async fn a_checkout_is_shown_to_its_org_only() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let checkout = buy(&owner, "pack-10").await.ok();
    let path = format!("/v1/billing/checkout-sessions/{}", checkout["id"].as_str().unwrap());
    owner.get(&path).await.ok();
    assert_eq!(stranger.get(&path).await.problem(), (404, "no_such_checkout_session".into()));
    assert_eq!(app.anonymous().get(&path).await.status, 401);

    bought(&app, &owner, "pack-10").await;
    assert_eq!(stranger.get("/v1/billing/payments").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn anybody_may_read_the_price_list_and_the_pages_after_paying() {
    let app = TestApp::start().await;
    let anybody = app.anonymous();
    let plans = anybody.get("/v1/plans").await.ok();
    assert_eq!(
        (&plans["items"][2]["id"], &plans["items"][2]["month_cents"]),
        (&json!("pro"), &json!(4900))
    );
    assert_eq!(anybody.get("/v1/packs").await.ok()["items"].as_array().unwrap().len(), 4);
    for page in ["/billing/return", "/billing/cancelled"] {
        let reply = anybody.get(page).await;
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(reply.ok_text().contains("you can close this page"), "{page}");
    }
}

#[tokio::test]
async fn a_delayed_payment_gives_its_credits_when_the_money_has_come() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let session = session_of(&buy(&owner, "pack-50").await.ok());
    app.simulators.stripe.pay_later(&session).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 0);
    let waits = buy(&owner, "pack-50").await;
    assert_eq!(waits.problem(), (409, "checkout_in_progress".into()));
    app.simulators.stripe.end_payment(&session, Card::Accepted).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 50);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_delayed_payment_that_fails_does_not_stay_in_the_way() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let checkout = buy(&owner, "pack-50").await.ok();
    let session = session_of(&checkout);
    app.simulators.stripe.pay_later(&session).unwrap();
    settle(&app).await;
    // Even if the news is lost.
    app.simulators.stripe.set_webhook("http://127.0.0.1:9/nowhere");
    app.simulators.stripe.end_payment(&session, Card::Declined).unwrap();
    let again = buy(&owner, "pack-50").await.ok();
    assert_ne!(again["id"], checkout["id"]);
    let path = format!("/v1/billing/checkout-sessions/{}", checkout["id"].as_str().unwrap());
    assert_eq!(owner.get(&path).await.ok()["status"], "failed");
    assert_eq!(credits(&owner).await, 0);
}
