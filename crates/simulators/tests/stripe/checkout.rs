use reqwest::{Method, Response};
use serde_json::Value;
use simulators::stripe::Card;

use crate::support::{Shop, WEBHOOK_SECRET, id, text};

async fn press(shop: &Shop, session: &Value, card: &str) -> Response {
    let path = format!("/pay/{}", id(session));
    assert!(session["url"].is_null() || text(session, "url").ends_with(&path));
    shop.posting(&path, &[("card", card), ("email", "ada@example.com")]).send().await.unwrap()
}

async fn page(shop: &Shop, session: &str) -> (u16, String) {
    let page = shop.request(Method::GET, &format!("/pay/{session}")).send().await.unwrap();
    (page.status().as_u16(), page.text().await.unwrap())
}

#[tokio::test]
async fn paying_on_the_page_completes_the_session_and_delivers_signed_events() {
    let shop = Shop::open().await;
    let session = shop.credits_session().await;
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&"open".into(), &"unpaid".into())
    );
    let (status, html) = page(&shop, &id(&session)).await;
    assert_eq!(status, 200);
    assert!(html.contains("100 credits") && html.contains("19.00 USD") && html.contains(">Pay<"));

    // Events of different actions may overtake each other.
    shop.stripe.settled().await;
    let answer = press(&shop, &session, "accepted").await;
    assert_eq!(answer.status(), 303);
    let thanks = format!("http://127.0.0.1:9/thanks?session={}", id(&session));
    assert_eq!(answer.headers()["location"], thanks.as_str());
    let path = format!("/v1/checkout/sessions/{}?expand[]=payment_intent", id(&session));
    let paid = shop.get(&path).await;
    assert_eq!((&paid["status"], &paid["payment_status"]), (&"complete".into(), &"paid".into()));
    assert_eq!(paid["payment_intent"]["status"], "succeeded");
    assert_eq!(paid["payment_intent"]["metadata"]["org"], "org_1");
    assert_eq!(paid["customer_details"]["email"], "ada@example.com");

    shop.stripe.settled().await;
    let expected = [
        "product.created",
        "price.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ];
    assert_eq!(shop.inbox.types(), expected);
    for received in shop.inbox.received() {
        assert!(received.verifies(WEBHOOK_SECRET));
        assert!(!received.verifies("whsec_other"));
        assert_eq!(received.event()["api_version"], "2026-09-30.endive");
    }
    let last = shop.inbox.received().pop().unwrap().event();
    assert_eq!(last["data"]["object"]["id"], session["id"]);
    assert_eq!(shop.get(&format!("/v1/events/{}", id(&last))).await["pending_webhooks"], 0);
}

#[tokio::test]
async fn paying_twice_has_one_effect() {
    let shop = Shop::open().await;
    let session = shop.credits_session().await;
    let presses = (0..10).map(|_| press(&shop, &session, "accepted"));
    for answer in futures::future::join_all(presses).await {
        assert_eq!(answer.status(), 303);
    }
    assert_eq!(shop.count("/v1/charges").await, 1);
    let completed = |kind: &&String| *kind == "checkout.session.completed";
    assert_eq!(shop.event_types().iter().filter(completed).count(), 1);
    assert!(page(&shop, &id(&session)).await.1.contains("already paid"));
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open_for_another_try() {
    let shop = Shop::open().await;
    let session = shop.credits_session().await;
    let declined = press(&shop, &session, "declined").await;
    assert_eq!(declined.status(), 402);
    assert!(declined.text().await.unwrap().contains("declined"));
    let types = shop.event_types();
    assert_eq!(types[2..], ["charge.failed", "payment_intent.payment_failed"]);
    let open =
        shop.get(&format!("/v1/checkout/sessions/{}?expand[]=payment_intent", id(&session))).await;
    assert_eq!(open["status"], "open");
    assert_eq!(open["payment_intent"]["last_payment_error"]["code"], "card_declined");

    assert_eq!(press(&shop, &session, "accepted").await.status(), 303);
    let intents = shop.get("/v1/payment_intents").await;
    assert_eq!(intents["data"].as_array().unwrap().len(), 1);
    assert_eq!(intents["data"][0]["status"], "succeeded");
    assert_eq!(intents["data"][0]["amount_received"], 1900);
}

#[tokio::test]
async fn an_expired_session_says_so_and_takes_no_money() {
    let shop = Shop::open().await;
    let session = shop.credits_session().await;
    let path = format!("/v1/checkout/sessions/{}/expire", id(&session));
    shop.post(&path, &[]).await;
    let (status, html) = page(&shop, &id(&session)).await;
    assert!(status == 410 && html.contains("has expired") && !html.contains("<button"));
    assert_eq!(press(&shop, &session, "accepted").await.status(), 410);
    assert_eq!(shop.count("/v1/charges").await, 0);
    assert_eq!(shop.refused(&path, &[]).await.0, 400);
    assert_eq!(page(&shop, "cs_test_none").await.0, 404);
}

#[tokio::test]
async fn a_way_back_that_is_no_address_is_refused() {
    let shop = Shop::open().await;
    let price = shop.price("4900", "month").await;
    for (success, cancel, wrong) in [
        ("/thanks", "http://127.0.0.1:9/", "success_url"),
        ("http://127.0.0.1:9/", "javascript:alert(1)", "cancel_url"),
    ] {
        let form = [
            ("mode", "subscription"),
            ("success_url", success),
            ("cancel_url", cancel),
            ("line_items[0][price]", price.as_str()),
        ];
        let (status, error) = shop.refused("/v1/checkout/sessions", &form).await;
        assert_eq!((status, &error["param"]), (400, &wrong.into()));
        assert_eq!(error["code"], "url_invalid");
    }
}

#[tokio::test]
async fn a_session_expires_when_its_time_has_passed() {
    let shop = Shop::open().await;
    let session = shop.credits_session().await;
    let expires_at = session["expires_at"].as_i64().unwrap();
    shop.stripe.set_now(Some(expires_at - 1));
    assert_eq!(page(&shop, &id(&session)).await.0, 200);
    shop.stripe.set_now(Some(expires_at));
    assert_eq!(
        shop.refused(&format!("/v1/checkout/sessions/{}/expire", id(&session)), &[]).await.0,
        400
    );
    assert_eq!(page(&shop, &id(&session)).await.0, 410);
    shop.stripe.settled().await;
    assert!(shop.inbox.types().contains(&"checkout.session.expired".to_owned()));
}

#[tokio::test]
async fn what_is_sold_cannot_put_markup_on_the_page() {
    let shop = Shop::open().await;
    let form = [
        ("mode", "payment"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1"),
        ("line_items[0][price_data][product_data][name]", "<script>alert(1)</script>"),
    ];
    let session = shop.post("/v1/checkout/sessions", &form).await;
    assert!(!page(&shop, &id(&session)).await.1.contains("<script>"));
}

#[tokio::test]
async fn buying_a_subscription_starts_it_with_a_paid_invoice() {
    let shop = Shop::open().await;
    let price = shop.price("4900", "month").await;
    let form = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", price.as_str()),
        ("line_items[0][quantity]", "2"),
        ("subscription_data[metadata][org]", "org_1"),
    ];
    let session = shop.post("/v1/checkout/sessions", &form).await;
    assert_eq!(press(&shop, &session, "accepted").await.status(), 303);
    let path = format!("/v1/checkout/sessions/{}", id(&session));
    let paid = shop.get(&format!("{path}?expand[]=subscription&expand[]=invoice.payments")).await;
    assert_eq!(paid["subscription"]["status"], "active");
    assert_eq!(paid["subscription"]["metadata"]["org"], "org_1");
    let item = &paid["subscription"]["items"]["data"][0];
    let days = (item["current_period_end"].as_i64().unwrap()
        - item["current_period_start"].as_i64().unwrap())
        / 86_400;
    assert!((28..=31).contains(&days), "{days}");
    let invoice = &paid["invoice"];
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&"paid".into(), &9800.into()));
    assert_eq!(invoice["billing_reason"], "subscription_create");
    let intent = text(&invoice["payments"]["data"][0]["payment"], "payment_intent");
    let query = format!(
        "/v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]={intent}"
    );
    assert_eq!(shop.get(&query).await["data"][0]["invoice"], invoice["id"]);
    assert_eq!(shop.get("/v1/customers").await["data"][0]["id"], paid["customer"]);
    let expected = [
        "product.created",
        "price.created",
        "customer.created",
        "payment_method.attached",
        "invoice.created",
        "customer.subscription.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.completed",
    ];
    assert_eq!(shop.event_types(), expected);
}

#[tokio::test]
async fn a_mode_that_does_not_fit_the_price_is_refused() {
    let shop = Shop::open().await;
    let price = shop.price("4900", "month").await;
    let url = ("success_url", "http://127.0.0.1:9/");
    let recurring = ("line_items[0][price]", price.as_str());
    let (status, error) =
        shop.refused("/v1/checkout/sessions", &[("mode", "payment"), url, recurring]).await;
    assert_eq!((status, &error["param"]), (400, &"line_items".into()));
    let once = [
        ("mode", "subscription"),
        url,
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "100"),
        ("line_items[0][price_data][product_data][name]", "Credits"),
    ];
    assert_eq!(shop.refused("/v1/checkout/sessions", &once).await.0, 400);
    assert_eq!(shop.count("/v1/products").await, 1);
}

#[tokio::test]
async fn a_trial_costs_nothing_until_it_ends() {
    let shop = Shop::open().await;
    let price = shop.price("4900", "month").await;
    let form = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", price.as_str()),
        ("subscription_data[trial_period_days]", "14"),
    ];
    let session = id(&shop.post("/v1/checkout/sessions", &form).await);
    let paid = shop.stripe.pay(&session, Card::Accepted).unwrap();
    assert_eq!(paid["payment_status"], "no_payment_required");
    assert_eq!(shop.count("/v1/charges").await, 0);
    let subscription = text(&paid, "subscription");
    let trialing = shop.get(&format!("/v1/subscriptions/{subscription}")).await;
    assert_eq!(trialing["status"], "trialing");
    let item = &trialing["items"]["data"][0];
    assert_eq!(item["current_period_end"], trialing["trial_end"]);

    let renewed = shop.stripe.advance(&subscription, Card::Accepted).unwrap();
    assert_eq!(renewed["status"], "active");
    assert_eq!(shop.get("/v1/charges").await["data"][0]["amount"], 4900);
}
