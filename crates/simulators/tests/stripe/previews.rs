use serde_json::Value;

use crate::support::{Shop, id, text};

const START: i64 = 1_767_225_600;
const HALF: i64 = 31 * 86_400 / 2;

async fn preview(shop: &Shop, subscription: &Value, price: &str, behavior: &str) -> Value {
    let item = id(&subscription["items"]["data"][0]);
    let subscription = id(subscription);
    let form = [
        ("subscription", subscription.as_str()),
        ("subscription_details[items][0][id]", item.as_str()),
        ("subscription_details[items][0][price]", price),
        ("subscription_details[proration_behavior]", behavior),
    ];
    shop.post("/v1/invoices/create_preview", &form).await
}

#[tokio::test]
async fn a_preview_shows_what_the_change_then_costs_and_changes_nothing() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(START));
    let (small, large) = (shop.price("1900", "month").await, shop.price("4900", "month").await);
    let subscription = shop.subscription(&small).await;
    shop.stripe.set_now(Some(START + HALF));
    shop.stripe.settled().await;
    let before = shop.stripe.state().unwrap()["state"]["objects"].clone();

    let preview = preview(&shop, &subscription, &large, "always_invoice").await;
    assert!(id(&preview).starts_with("upcoming_in_"));
    assert_eq!((&preview["amount_due"], &preview["status"]), (&1500.into(), &"draft".into()));
    let amounts: Vec<&Value> =
        preview["lines"]["data"].as_array().unwrap().iter().map(|line| &line["amount"]).collect();
    assert_eq!(amounts, [-950, 2450]);
    assert!(shop.stripe.state().unwrap()["state"]["objects"] == before, "something changed");

    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", large.as_str()),
        ("proration_behavior", "always_invoice"),
        ("expand[]", "latest_invoice"),
    ];
    let upgraded = shop.post(&path, &form).await;
    assert_eq!(upgraded["latest_invoice"]["amount_paid"], preview["amount_due"]);
}

#[tokio::test]
async fn a_preview_of_the_next_invoice_contains_what_waits_for_it() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(START));
    let (small, large) = (shop.price("1900", "month").await, shop.price("4900", "month").await);
    let subscription = shop.subscription(&small).await;
    shop.stripe.set_now(Some(START + HALF));
    let preview = preview(&shop, &subscription, &large, "create_prorations").await;
    assert_eq!(preview["amount_due"], 4900 + 1500);
    assert_eq!(preview["billing_reason"], "subscription_cycle");
}

#[tokio::test]
async fn a_new_subscription_can_be_previewed_too() {
    let shop = Shop::open().await;
    let price = shop.price("4900", "month").await;
    let customer = id(&shop.post("/v1/customers", &[]).await);
    let form = [
        ("customer", customer.as_str()),
        ("subscription_details[items][0][price]", price.as_str()),
        ("subscription_details[items][0][quantity]", "3"),
    ];
    assert_eq!(shop.post("/v1/invoices/create_preview", &form).await["amount_due"], 14_700);
    assert_eq!(shop.count("/v1/subscriptions?status=all").await, 0);
}

#[tokio::test]
async fn a_downgrade_becomes_credit_that_the_next_invoices_use_up() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(START));
    let (small, large) = (shop.price("1900", "month").await, shop.price("9900", "month").await);
    let subscription = shop.subscription(&large).await;
    shop.stripe.set_now(Some(START + HALF));
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", small.as_str()),
        ("proration_behavior", "always_invoice"),
    ];
    shop.post(&path, &form).await;
    let customer = format!("/v1/customers/{}", text(&subscription, "customer"));
    assert_eq!(shop.get(&customer).await["balance"], -4000);
    shop.stripe.live_until(START + 33 * 86_400).unwrap();
    assert_eq!(shop.get(&customer).await["balance"], -2100);
    let invoice = shop.get("/v1/invoices").await["data"][0].clone();
    assert_eq!((&invoice["total"], &invoice["amount_paid"]), (&1900.into(), &0.into()));
    assert_eq!(
        (&invoice["status"], &invoice["starting_balance"]),
        (&"paid".into(), &(-4000).into())
    );
    assert_eq!(shop.count(&format!("{customer}/balance_transactions")).await, 2);
}

#[tokio::test]
async fn seats_are_added_and_taken_away_in_parts_of_a_month() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(START));
    let subscription = shop.subscription(&shop.price("1000", "month").await).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    let seats = async |quantity: &str| {
        let form = [("items[0][id]", item.as_str()), ("items[0][quantity]", quantity)];
        shop.post(&path, &form).await
    };
    shop.stripe.set_now(Some(START + HALF));
    assert_eq!(seats("3").await["items"]["data"][0]["quantity"], 3);
    seats("2").await;
    shop.stripe.live_until(START + 32 * 86_400).unwrap();
    assert_eq!(shop.get("/v1/invoices").await["data"][0]["total"], 2000 + 500);
}
