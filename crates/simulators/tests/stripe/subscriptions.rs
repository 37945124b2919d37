use serde_json::Value;
use simulators::stripe::Card;

use crate::support::{Shop, id, text};

fn period(subscription: &Value) -> (i64, i64) {
    let item = &subscription["items"]["data"][0];
    let at = |field: &str| item[field].as_i64().unwrap();
    (at("current_period_start"), at("current_period_end"))
}

#[tokio::test]
async fn a_renewal_moves_the_period_and_collects_an_invoice() {
    let shop = Shop::open().await;
    let price = shop.price("19000", "year").await;
    let first = shop.subscription(&price).await;
    let before = shop.event_types().len();
    let renewed = shop.stripe.advance(&id(&first), Card::Accepted).unwrap();
    assert_eq!(period(&renewed).0, period(&first).1);
    assert!((365..=366).contains(&((period(&renewed).1 - period(&renewed).0) / 86_400)));
    let invoice = shop.get(&format!("/v1/invoices/{}", text(&renewed, "latest_invoice"))).await;
    assert_eq!(invoice["billing_reason"], "subscription_cycle");
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&"paid".into(), &19_000.into()));
    let line = &invoice["lines"]["data"][0];
    assert_eq!(line["period"]["end"], period(&renewed).1);
    let expected = [
        "invoice.created",
        "customer.subscription.updated",
        "payment_method.attached",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ];
    assert_eq!(shop.event_types()[before..], expected);
    let query = format!("/v1/invoices?subscription={}", id(&first));
    assert_eq!(shop.count(&query).await, 2);
}

#[tokio::test]
async fn a_renewal_on_a_declined_card_is_past_due_until_its_invoice_is_paid() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let late = shop.stripe.advance(&id(&subscription), Card::Declined).unwrap();
    assert_eq!(late["status"], "past_due");
    assert!(shop.event_types().contains(&"invoice.payment_failed".to_owned()));
    let invoice = format!("/v1/invoices/{}", text(&late, "latest_invoice"));
    assert_eq!(shop.get(&invoice).await["status"], "open");
    assert_eq!(shop.post(&format!("{invoice}/pay"), &[]).await["status"], "paid");
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    assert_eq!(shop.get(&path).await["status"], "active");
    assert_eq!(shop.refused(&format!("{invoice}/pay"), &[]).await.0, 400);
}

#[tokio::test]
async fn a_subscription_canceled_at_period_end_runs_until_then() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let leaving = shop.post(&path, &[("cancel_at_period_end", "true")]).await;
    assert_eq!(
        (&leaving["status"], &leaving["cancel_at"]),
        (&"active".into(), &period(&subscription).1.into())
    );
    let staying = shop.post(&path, &[("cancel_at_period_end", "false")]).await;
    assert!(staying["cancel_at"].is_null() && staying["canceled_at"].is_null());

    shop.post(&path, &[("cancel_at_period_end", "true")]).await;
    let ended = shop.stripe.advance(&id(&subscription), Card::Accepted).unwrap();
    assert_eq!(ended["status"], "canceled");
    assert_eq!(shop.event_types().last().unwrap(), "customer.subscription.deleted");
    assert_eq!(shop.count("/v1/charges").await, 1);
    assert_eq!(shop.refused(&path, &[("cancel_at_period_end", "false")]).await.0, 404);
}

#[tokio::test]
async fn canceling_ends_at_once_and_hides_it_from_the_list() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let canceled = shop.delete(&format!("/v1/subscriptions/{}", id(&subscription))).await;
    assert_eq!(canceled["status"], "canceled");
    assert!(canceled["ended_at"].is_i64());
    assert_eq!(shop.count("/v1/subscriptions").await, 0);
    assert_eq!(shop.count("/v1/subscriptions?status=all").await, 1);
}

#[tokio::test]
async fn deleting_a_customer_ends_what_they_subscribed_to() {
    let shop = Shop::open().await;
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    shop.delete(&format!("/v1/customers/{}", text(&subscription, "customer"))).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    assert_eq!(shop.get(&path).await["status"], "canceled");
}

/// Asks for another price.
async fn switch(shop: &Shop, subscription: &Value, price: &str, behavior: &str) -> Value {
    let item = id(&subscription["items"]["data"][0]);
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", price),
        ("proration_behavior", behavior),
    ];
    shop.post(&format!("/v1/subscriptions/{}", id(subscription)), &form).await
}

#[tokio::test]
async fn an_upgrade_invoiced_at_once_costs_the_difference_for_the_time_left() {
    let shop = Shop::open().await;
    let (small, large) = (shop.price("1900", "month").await, shop.price("4900", "month").await);
    let subscription = shop.subscription(&small).await;
    let (start, end) = period(&subscription);
    shop.stripe.set_now(Some(start + (end - start) / 2));
    let upgraded = switch(&shop, &subscription, &large, "always_invoice").await;
    assert_eq!(upgraded["items"]["data"][0]["price"]["id"], large.as_str());
    assert_eq!(period(&upgraded), period(&subscription));
    let invoice = shop.get(&format!("/v1/invoices/{}", text(&upgraded, "latest_invoice"))).await;
    assert_eq!(invoice["billing_reason"], "subscription_update");
    assert_eq!(invoice["amount_paid"], 1500);
}

#[tokio::test]
async fn prorations_wait_for_the_next_invoice_unless_asked_otherwise() {
    let shop = Shop::open().await;
    let (small, large) = (shop.price("1900", "month").await, shop.price("4900", "month").await);
    shop.stripe.set_now(Some(1_767_225_600));
    let subscription = shop.subscription(&small).await;
    switch(&shop, &subscription, &large, "create_prorations").await;
    assert_eq!(shop.count("/v1/invoices").await, 1);
    shop.stripe.advance(&id(&subscription), Card::Accepted).unwrap();
    assert_eq!(shop.get("/v1/invoices").await["data"][0]["total"], 4900 + 3000);

    switch(&shop, &subscription, &small, "none").await;
    shop.stripe.advance(&id(&subscription), Card::Accepted).unwrap();
    assert_eq!(shop.get("/v1/invoices").await["data"][0]["total"], 1900);
}

#[tokio::test]
async fn a_new_interval_starts_a_new_period_at_once() {
    let shop = Shop::open().await;
    let (month, year) = (shop.price("4900", "month").await, shop.price("49000", "year").await);
    shop.stripe.set_now(Some(1_767_225_600));
    let subscription = shop.subscription(&month).await;
    let yearly = switch(&shop, &subscription, &year, "create_prorations").await;
    assert!((365..=366).contains(&((period(&yearly).1 - period(&yearly).0) / 86_400)));
    let invoices = shop.get("/v1/invoices").await;
    assert_eq!(invoices["data"][0]["amount_paid"], 49_000 - 4900);
}
