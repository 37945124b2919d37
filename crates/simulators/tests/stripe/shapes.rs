use std::{env, fs, io::Write};

use serde_json::Value;
use simulators::stripe::Card;

use crate::support::{Shop, id, text};

/// One object of every kind, by the name Stripe gives it.
async fn objects(shop: &Shop) -> Vec<Value> {
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let session = id(&shop.credits_session().await);
    let open = shop.get(&format!("/v1/checkout/sessions/{session}")).await;
    shop.stripe.pay(&session, Card::Declined).unwrap();
    let failed = shop.get("/v1/payment_intents").await["data"][0].clone();
    let failed_charge = shop.get("/v1/charges").await["data"][0].clone();
    let paid = shop.stripe.pay(&session, Card::Accepted).unwrap();
    let intent = text(&paid, "payment_intent");
    let refund = shop.post("/v1/refunds", &[("payment_intent", intent.as_str())]).await;
    let items = shop.get(&format!("/v1/checkout/sessions/{session}/line_items")).await;
    let mut objects = vec![subscription, open, failed, failed_charge, paid, refund];
    for list in [
        "charges",
        "customers",
        "events",
        "invoice_payments",
        "invoices",
        "payment_intents",
        "prices",
        "products",
    ] {
        objects.push(shop.get(&format!("/v1/{list}")).await["data"][0].clone());
    }
    objects.push(items["data"][0].clone());
    let item = objects[0]["items"]["data"][0].clone();
    objects.push(item["plan"].clone());
    objects.push(item);
    let invoice = objects.iter().find(|object| object["object"] == "invoice").unwrap();
    objects.push(invoice["lines"]["data"][0].clone());
    let customer = id(&shop.post("/v1/customers", &[]).await);
    objects.push(shop.delete(&format!("/v1/customers/{customer}")).await);
    objects
}

#[tokio::test]
async fn objects_have_the_official_shapes() {
    let Ok(path) = env::var("STRIPE_FIXTURES") else {
        // Not `eprintln!`, which the test harness would swallow.
        let skipped = b"SKIPPED: objects_have_the_official_shapes needs STRIPE_FIXTURES, the fixtures file of \
            Stripe's OpenAPI repository\n";
        std::io::stderr().write_all(skipped).unwrap();
        return;
    };
    let fixtures: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let shop = Shop::open().await;
    let mut wrong = Vec::new();
    for object in objects(&shop).await {
        let name = text(&object, "object");
        let kind = if object["deleted"] == true { format!("deleted_{name}") } else { name };
        let official = fixtures["resources"][&kind].as_object().unwrap();
        let ours = object.as_object().unwrap();
        for (field, example) in official {
            match ours.get(field) {
                None => wrong.push(format!("{kind} lacks {field}")),
                Some(value) if !compatible(value, example) => {
                    wrong.push(format!("{kind}.{field} is {value}, not like {example}"));
                }
                Some(_) => {}
            }
        }
        let extra = ours.keys().filter(|field| !official.contains_key(*field));
        wrong.extend(extra.map(|field| format!("{kind} has {field}, which is not Stripe's")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An example with null says nothing about the type; the official types below tell what may be null.
fn compatible(ours: &Value, example: &Value) -> bool {
    ours.is_null()
        || example.is_null()
        || std::mem::discriminant(ours) == std::mem::discriminant(example)
}

/// Reads an object with the types of the Rust client, which refuse null where Stripe never sends it.
fn readable(object: &Value) -> bool {
    fn reads<T: miniserde::Deserialize>(text: &str) -> bool {
        miniserde::json::from_str::<T>(text).is_ok()
    }
    let json = object.to_string();
    match text(object, "object").as_str() {
        "charge" => reads::<stripe_shared::Charge>(&json),
        "checkout.session" => reads::<stripe_shared::CheckoutSession>(&json),
        "customer" if object["deleted"] == true => reads::<stripe_shared::DeletedCustomer>(&json),
        "customer" => reads::<stripe_shared::Customer>(&json),
        "event" => reads::<stripe_shared::Event>(&json),
        "invoice" => reads::<stripe_shared::Invoice>(&json),
        "invoice_payment" => reads::<stripe_shared::InvoicePayment>(&json),
        "item" => reads::<stripe_shared::CheckoutSessionItem>(&json),
        "line_item" => reads::<stripe_shared::InvoiceLineItem>(&json),
        "payment_intent" => reads::<stripe_shared::PaymentIntent>(&json),
        "plan" => reads::<stripe_shared::Plan>(&json),
        "price" => reads::<stripe_shared::Price>(&json),
        "product" => reads::<stripe_shared::Product>(&json),
        "refund" => reads::<stripe_shared::Refund>(&json),
        "subscription" => reads::<stripe_shared::Subscription>(&json),
        "subscription_item" => reads::<stripe_shared::SubscriptionItem>(&json),
        _ => false,
    }
}

#[tokio::test]
async fn the_official_types_read_every_object() {
    let shop = Shop::open().await;
    for object in objects(&shop).await {
        assert!(readable(&object), "{object:#}");
    }
}

#[tokio::test]
async fn a_null_where_stripe_never_sends_one_would_be_noticed() {
    let shop = Shop::open().await;
    let mut customer = shop.post("/v1/customers", &[]).await;
    customer["created"] = Value::Null;
    assert!(!readable(&customer));
}
