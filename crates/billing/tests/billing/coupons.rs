use chrono::TimeDelta;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};

use crate::support::{
    at_dashboard, at_stripe, count, credits, pay, session_of, settle, signed_in_again,
};

async fn make(operator: &Client, coupon: Value) -> Reply {
    operator.post("/admin/v1/coupons", coupon).await
}

async fn redeem(client: &Client, code: &str) -> Reply {
    client.post("/v1/billing/coupon-redemptions", json!({ "code": code })).await
}

async fn buy_with(client: &Client, item: &str, code: &str) -> Reply {
    client.post("/v1/billing/checkout-sessions", json!({ "item": item, "coupon": code })).await
}

const REDEEMED: &str = "select redeemed from coupons";

#[tokio::test]
async fn the_last_redemption_goes_to_exactly_one_of_many() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let coupon =
        json!({ "code": "Last-One", "kind": "credits", "amount": 25, "max_redemptions": 1 });
    make(&operator, coupon).await.ok();
    let mut owners = Vec::new();
    for _ in 0..20 {
        owners.push(app.owner().await);
    }
    let replies = join_all(owners.iter().map(|owner| redeem(owner, "LAST-one"))).await;
    let won = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(won, 1);
    let lost = replies.into_iter().filter(|reply| reply.status != 201);
    assert!(lost.map(Reply::problem).all(|it| it == (409, "coupon_exhausted".into())));
    let mut given = 0;
    for owner in &owners {
        given += credits(owner).await;
    }
    assert_eq!((given, count(&app, REDEEMED).await), (25, 1));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_last_discount_goes_to_exactly_one_of_many_buyers() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let coupon = json!({ "code": "HALF", "kind": "percent", "amount": 50, "max_redemptions": 1 });
    make(&operator, coupon).await.ok();
    let mut owners = Vec::new();
    for _ in 0..8 {
        owners.push(app.owner().await);
    }
    let buyers = owners.iter().map(|owner| buy_with(owner, "pack-100", "HALF"));
    let replies = join_all(buyers).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1, "{replies:?}");
    assert_eq!(count(&app, REDEEMED).await, 1);
    let sessions = at_stripe(&app, "checkout.session");
    assert_eq!((sessions.len(), &sessions[0]["amount_total"]), (1, &json!(800)));
}

#[tokio::test]
async fn a_coupon_is_redeemed_once_by_a_person_and_refused_with_its_reason() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    make(&operator, json!({ "code": "GIFT", "kind": "credits", "amount": 5 })).await.ok();
    let end = app.clock.now() + TimeDelta::hours(1);
    let short = json!({ "code": "SHORT", "kind": "credits", "amount": 5, "expires_at": end });
    make(&operator, short).await.ok();
    let pro = json!({ "code": "PRO", "kind": "fixed", "amount": 500, "items": ["pro"] });
    let pro = make(&operator, pro).await.ok();

    assert_eq!(redeem(&owner, "gift").await.ok()["credits"], 5);
    assert_eq!(redeem(&owner, "GIFT").await.problem(), (409, "coupon_redeemed".into()));
    assert_eq!(redeem(&owner, "NONE").await.problem(), (404, "no_such_coupon".into()));
    assert_eq!(redeem(&owner, "PRO").await.problem(), (422, "coupon_unfit".into()));
    let other_plan = buy_with(&owner, "plan-creator-month", "PRO").await;
    assert_eq!(other_plan.problem(), (422, "coupon_unfit".into()));
    let for_credits = buy_with(&owner, "pack-10", "SHORT").await;
    assert_eq!(for_credits.problem(), (422, "coupon_unfit".into()));
    let path = format!("/admin/v1/coupons/{}", pro["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.status, 204);
    let off = buy_with(&owner, "plan-pro-month", "PRO").await;
    assert_eq!(off.problem(), (409, "coupon_expired".into()));
    for (action, times) in [("coupon.created", 3), ("coupon.disabled", 1)] {
        let log = operator.get(&format!("/admin/v1/audit-log?action={action}")).await.ok();
        assert_eq!(log["items"].as_array().unwrap().len(), times, "{action}: {log}");
    }
    app.advance(TimeDelta::hours(1));
    let owner = signed_in_again(&owner).await;
    assert_eq!(redeem(&owner, "SHORT").await.problem(), (409, "coupon_expired".into()));
    assert_eq!(credits(&owner).await, 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn impossible_coupons_are_not_made() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for (field, value) in [
        ("amount", json!(101)),
        ("amount", json!(0)),
        ("amount", json!(-5)),
        ("code", json!("a b")),
        ("code", json!("")),
        ("items", json!(["no such plan"])),
        ("months", json!(0)),
        ("max_redemptions", json!(0)),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut coupon = json!({ "code": "OFF", "kind": "percent", "amount": 10 });
        coupon[field] = value.clone();
        let refused = make(&operator, coupon).await;
        assert_eq!(refused.problem(), (422, "invalid_field".into()), "{field}: {value}");
    }
    let coupon = json!({ "code": "OFF", "kind": "percent", "amount": 10 });
    make(&operator, coupon.clone()).await.ok();
    let mut again = coupon;
    again["code"] = "off".into();
    assert_eq!(make(&operator, again).await.problem(), (409, "coupon_code_taken".into()));
}

#[tokio::test]
async fn a_coupon_makes_a_purchase_cheaper_and_excludes_promotion_codes() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let coupon = json!({ "code": "TWENTY", "kind": "percent", "amount": 20, "months": 1 });
    make(&operator, coupon).await.ok();
    let checkout = buy_with(&owner, "plan-pro-month", "twenty").await.ok();
    let again = buy_with(&owner, "plan-pro-month", "TWENTY").await.ok();
    assert_eq!(checkout["id"], again["id"], "a second click finds the same page");
    let session = at_stripe(&app, "checkout.session").remove(0);
    assert_eq!(session["amount_total"], 3_920);
    assert_ne!(session["allow_promotion_codes"], true);
    pay(&app, &checkout);
    settle(&app).await;
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(payments["items"][0]["amount_cents"], 3_920);
    assert_eq!(credits(&owner).await, 500, "who pays less gets no less");
    assert_eq!(count(&app, REDEEMED).await, 1);
}

#[tokio::test]
async fn a_coupon_of_a_purchase_that_does_not_come_about_is_given_back() {
    let app = TestApp::start().await;
    let (operator, owner, other) = (app.operator().await, app.owner().await, app.owner().await);
    let coupon = json!({ "code": "ONE", "kind": "fixed", "amount": 100, "max_redemptions": 1 });
    make(&operator, coupon).await.ok();
    buy_with(&owner, "pack-50", "ONE").await.ok();
    let taken = buy_with(&other, "pack-50", "ONE").await;
    assert_eq!(taken.problem(), (409, "coupon_exhausted".into()));
    // Without the coupon: the page with it is closed.
    let plain = json!({ "item": "pack-50" });
    owner.post("/v1/billing/checkout-sessions", plain).await.ok();
    assert_eq!(count(&app, REDEEMED).await, 0);
    let checkout = buy_with(&other, "pack-50", "ONE").await.ok();
    pay(&app, &checkout);
    settle(&app).await;
    assert_eq!(count(&app, REDEEMED).await, 1);
    assert_eq!(count(&app, "select count(*) from coupon_redemptions").await, 1);
}

#[tokio::test]
async fn a_promotion_code_of_stripes_is_entered_on_its_page() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let coupon = [("percent_off", "25"), ("duration", "once"), ("id", "autumn")];
    at_dashboard(&app, Method::POST, "coupons", &coupon).await;
    let code = [("promotion[type]", "coupon"), ("promotion[coupon]", "autumn"), ("code", "AUTUMN")];
    at_dashboard(&app, Method::POST, "promotion_codes", &code).await;
    let checkout = owner.post("/v1/billing/checkout-sessions", json!({ "item": "pack-100" }));
    let checkout = checkout.await.ok();
    app.simulators.stripe.enter_code(&session_of(&checkout), "AUTUMN").unwrap();
    pay(&app, &checkout);
    settle(&app).await;
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(
        (&payments["items"][0]["amount_cents"], credits(&owner).await),
        (&json!(1_200), 100)
    );
}
