use reqwest::Method;
use serde_json::Value;
use simulators::stripe::{Card, Delivery};

use crate::support::{Received, Shop, id, text};

#[tokio::test]
async fn a_customer_cancels_and_stays_on_the_portal() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let customer = text(&subscription, "customer");
    let form = [("customer", customer.as_str()), ("return_url", "http://127.0.0.1:9/back")];
    let portal = shop.post("/v1/billing_portal/sessions", &form).await;
    let path = format!("/portal/{}", id(&portal));
    assert!(text(&portal, "url").ends_with(&path));
    let page = shop.request(Method::GET, &path).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("49.00 USD every month") && page.contains("http://127.0.0.1:9/back"));
    let press = async |wish: &str| {
        let body = format!("wish={wish}&subscription={}", id(&subscription));
        let call = shop.request(Method::POST, &path).body(body);
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(call.send().await.unwrap().status(), 303);
        shop.get(&format!("/v1/subscriptions/{}", id(&subscription))).await
    };
    assert_eq!(press("cancel").await["cancel_at_period_end"], true);
    assert_eq!(press("stay").await["cancel_at_period_end"], false);
    let body = shop.request(Method::POST, &path).body("wish=pay&card=declined");
    let body = body.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(body.send().await.unwrap().status(), 303);
    let methods = shop.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(methods["data"][0]["card"]["last4"], "0341");
}

#[tokio::test]
async fn an_invoice_is_a_page_and_a_pdf() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let customer = format!("/v1/customers/{}", text(&subscription, "customer"));
    let tax_id = [("type", "eu_vat"), ("value", "DE123456789")];
    shop.post(&format!("{customer}/tax_ids"), &tax_id).await;
    shop.post(&customer, &[("name", "Ada & Co (Ltd)")]).await;
    shop.stripe.advance(&id(&subscription), Card::Declined).unwrap();
    let invoice = shop.get("/v1/invoices").await["data"][0].clone();
    assert_eq!(invoice["customer_tax_ids"][0]["value"], "DE123456789");
    let path = format!("/invoices/{}", id(&invoice));
    let page = shop.request(Method::GET, &path).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("DE123456789") && page.contains("Pay"));
    let pdf = shop.request(Method::GET, &format!("{path}/pdf")).send().await.unwrap();
    let pdf = pdf.bytes().await.unwrap();
    assert!(pdf.starts_with(b"%PDF-1.4") && pdf.ends_with(b"%%EOF\n"));
    let paid = shop.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(paid.status(), 303);
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    assert_eq!(shop.get(&path).await["status"], "active");
}

#[tokio::test]
async fn a_pack_can_have_an_invoice_of_its_own() {
    let shop = Shop::open().await;
    let customer = id(&shop.post("/v1/customers", &[("email", "ada@example.com")]).await);
    let form = [
        ("mode", "payment"),
        ("customer", customer.as_str()),
        ("success_url", "http://127.0.0.1:9/thanks"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1900"),
        ("line_items[0][price_data][product_data][name]", "100 credits"),
        ("invoice_creation[enabled]", "true"),
        ("payment_intent_data[metadata][org]", "org_1"),
    ];
    let session = shop.post("/v1/checkout/sessions", &form).await;
    let paid = shop.stripe.pay(&id(&session), Card::Accepted).unwrap();
    let invoice = shop.get(&format!("/v1/invoices/{}", text(&paid, "invoice"))).await;
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&"paid".into(), &1900.into()));
    let intent = shop.get(&format!("/v1/payment_intents/{}", text(&paid, "payment_intent"))).await;
    assert_eq!(
        (&intent["status"], &intent["metadata"]["org"]),
        (&"succeeded".into(), &"org_1".into())
    );
}

#[tokio::test]
async fn a_credit_note_gives_back_what_it_says_to_where_it_says() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let invoice = text(&subscription, "latest_invoice");
    let form = [
        ("invoice", invoice.as_str()),
        ("refund_amount", "900"),
        ("credit_amount", "1000"),
        ("reason", "order_change"),
    ];
    let note = shop.post("/v1/credit_notes", &form).await;
    assert_eq!((&note["amount"], &note["type"]), (&1900.into(), &"post_payment".into()));
    assert_eq!(shop.get("/v1/charges").await["data"][0]["amount_refunded"], 900);
    let customer = format!("/v1/customers/{}", text(&subscription, "customer"));
    assert_eq!(shop.get(&customer).await["balance"], -1000);
    let too_much = [("invoice", invoice.as_str()), ("credit_amount", "3001")];
    assert_eq!(shop.refused("/v1/credit_notes", &too_much).await.0, 400);
}

#[tokio::test]
async fn endpoints_get_the_events_they_want_signed_with_their_own_secret() {
    let shop = Shop::open().await;
    let url = shop.inbox.url().to_owned();
    let form = [
        ("url", url.as_str()),
        ("enabled_events[]", "customer.created"),
        ("api_version", "2024-06-20"),
    ];
    let endpoint = shop.post("/v1/webhook_endpoints", &form).await;
    let secret = text(&endpoint, "secret");
    let path = format!("/v1/webhook_endpoints/{}", id(&endpoint));
    assert!(shop.get(&path).await["secret"].is_null());
    shop.stripe
        .deliver_as(Delivery { api_version: Some("2023-10-16".to_owned()), ..Delivery::default() });
    shop.post("/v1/customers", &[]).await;
    shop.stripe.settled().await;
    shop.post("/v1/products", &[("name", "Pro")]).await;
    shop.stripe.settled().await;
    let received = shop.inbox.received();
    assert_eq!(shop.inbox.types(), ["customer.created", "customer.created", "product.created"]);
    let (theirs, others): (Vec<_>, Vec<_>) = received.iter().partition(|it| it.verifies(&secret));
    let versions = |them: Vec<&Received>| -> Vec<Value> {
        them.iter().map(|it| it.event()["api_version"].clone()).collect()
    };
    assert_eq!(versions(theirs), ["2024-06-20"]);
    assert_eq!(versions(others), ["2023-10-16", "2023-10-16"]);
    shop.delete(&path).await;
    shop.post("/v1/customers", &[]).await;
    shop.stripe.settled().await;
    assert_eq!(shop.inbox.received().len(), 4);
}

#[tokio::test]
async fn an_older_version_is_spoken_to_those_who_ask_for_it() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let ask = async |version: &str| {
        let call = shop.request(Method::GET, &path).bearer_auth(crate::support::SECRET_KEY);
        call.header("stripe-version", version).send().await.unwrap()
    };
    let old = ask("2024-06-20").await;
    assert_eq!(old.headers()["stripe-version"], "2024-06-20");
    let old = crate::support::json(old).await;
    assert_eq!(old["current_period_end"], subscription["items"]["data"][0]["current_period_end"]);
    assert_eq!(ask("yesterday").await.status(), 400);
}

#[tokio::test]
async fn events_that_are_lost_on_the_way_are_sent_again() {
    let shop = Shop::open().await;
    shop.stripe.deliver_as(Delivery { lose_tries: 2, ..Delivery::default() });
    shop.post("/v1/customers", &[]).await;
    shop.stripe.settled().await;
    assert_eq!(shop.inbox.types(), ["customer.created"]);
}

#[tokio::test]
async fn a_seed_decides_in_which_order_events_come() {
    let mut orders = Vec::new();
    for seed in [7, 7, 8] {
        let shop = Shop::open().await;
        shop.stripe.deliver_as(Delivery { shuffle: Some(seed), ..Delivery::default() });
        shop.subscription(&shop.price("4900", "month").await).await;
        shop.stripe.settled().await;
        let mut types = shop.inbox.types();
        types.retain(|kind| !kind.starts_with("product") && !kind.starts_with("price"));
        orders.push(types);
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
}
