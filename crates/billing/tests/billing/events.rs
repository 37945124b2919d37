use futures::future::join_all;
use serde_json::json;
use simulators::stripe::{Attempt, Card, Delivery};
use testing::TestApp;

use crate::support::{
    at_dashboard, at_stripe, bought, buy, count, credits, outcomes, pay, send_event, session_of,
    settle,
};

#[tokio::test]
async fn an_event_that_comes_twenty_times_at_once_acts_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    pay(&app, &buy(&owner, "pack-100").await.ok());
    let events = app.simulators.stripe.events();
    let event = events.iter().find(|it| it["type"] == "checkout.session.completed").unwrap();
    let attempts = app.simulators.stripe.redeliver(event["id"].as_str().unwrap(), 20, true).await;
    assert!(attempts.unwrap().iter().all(Attempt::succeeded));
    assert_eq!(count(&app, "select count(*) from stripe_events").await, 1);

    join_all((0..4).map(|_| app.run_jobs())).await;
    assert_eq!(credits(&owner).await, 100);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn different_events_about_one_payment_give_its_credits_once_in_any_order() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.stripe.deliver_as(Delivery { copies: 3, reverse: true, ..Delivery::default() });
    pay(&app, &buy(&owner, "pack-100").await.ok());
    app.simulators.stripe.settled().await;
    join_all((0..4).map(|_| app.run_jobs())).await;
    assert_eq!(credits(&owner).await, 100);
    assert_eq!(count(&app, "select count(*) from payments").await, 1);
    assert_eq!(outcomes(&app, "payment_intent.succeeded").await, [Some("applied".into())]);
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [Some("applied".into())]);
    assert_eq!(outcomes(&app, "charge.succeeded").await, [Some("ignored".into())]);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_event_that_claims_a_payment_gives_nothing_until_stripe_confirms_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let checkout = buy(&owner, "pack-100").await.ok();
    let session = session_of(&checkout);
    let event = json!({
        "id": "evt_claim", "type": "checkout.session.completed", "livemode": false,
        "data": { "object": { "id": session, "status": "complete", "payment_status": "paid" } },
    });
    send_event(&app, &event).await.ok_text();
    app.run_jobs().await;
    assert_eq!(credits(&owner).await, 0);

    app.simulators.stripe.pay(&session, Card::Declined).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 0);
    pay(&app, &checkout);
    settle(&app).await;
    assert_eq!(credits(&owner).await, 100);
}

#[tokio::test]
async fn a_payment_by_the_customer_of_another_org_is_not_applied() {
    let app = TestApp::start().await;
    app.operator().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let checkout = buy(&owner, "pack-100").await.ok();
    buy(&other, "pack-10").await.ok();
    // As if the session had been made for the other org's customer.
    sqlx::query("update stripe_customers set customer_id = 'cus_moved' where org_id = $1")
        .bind(owner.org().uuid())
        .execute(app.db.pool())
        .await
        .unwrap();
    pay(&app, &checkout);
    settle(&app).await;
    assert_eq!((credits(&owner).await, credits(&other).await), (0, 0));
    assert_eq!(count(&app, "select count(*) from payments").await, 0);
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [Some("refused".into())]);
    let told = "select count(*) from emails where subject like '%contradicts our books'";
    assert_eq!(count(&app, told).await, 1, "once, of all its events");
}

#[tokio::test]
async fn what_a_session_claims_about_its_org_is_not_believed() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    buy(&other, "pack-10").await.ok();
    let theirs = at_stripe(&app, "customer")[0]["id"].as_str().unwrap().to_owned();
    let checkout = buy(&owner, "pack-100").await.ok();
    let id = checkout["id"].as_str().unwrap();
    // Somebody with access to the Stripe account makes a session that points at our checkout.
    let form = [
        ("mode", "payment"),
        ("success_url", "https://example.com"),
        ("customer", theirs.as_str()),
        ("client_reference_id", id),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1"),
        ("line_items[0][price_data][product_data][name]", "Cheap"),
    ];
    let forged = at_dashboard(&app, reqwest::Method::POST, "checkout/sessions", &form).await;
    app.simulators.stripe.pay(forged["id"].as_str().unwrap(), Card::Accepted).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, credits(&other).await), (0, 0));
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [Some("ignored".into())]);
}

#[tokio::test]
async fn an_event_that_waits_shows_in_health() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "pack-10").await;
    pay(&app, &buy(&owner, "pack-50").await.ok());
    app.simulators.stripe.settled().await;
    let health = app.anonymous().get("/health").await.body;
    assert_eq!(health["checks"]["stripe"][0]["status"], "pass", "{health}");

    app.advance(chrono::TimeDelta::minutes(6));
    let health = app.anonymous().get("/health").await.body;
    assert_eq!(health["checks"]["stripe"][0]["status"], "warn", "{health}");
    app.run_jobs().await;
    app.advance(chrono::TimeDelta::minutes(1));
    let health = app.anonymous().get("/health").await.body;
    assert_eq!(health["checks"]["stripe"][0]["status"], "pass", "{health}");
}
