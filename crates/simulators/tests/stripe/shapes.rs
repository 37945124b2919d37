use serde_json::Value;
use simulators::stripe::{Card, Complaint};

use crate::support::{Shop, id, text};

/// One object of every kind, by the name Stripe gives it.
async fn objects(shop: &Shop) -> Vec<Value> {
    let mut objects = sold(shop).await;
    objects.extend(kept(shop).await);
    objects
}

/// What comes with a customer and with what they do besides buying.
async fn kept(shop: &Shop) -> Vec<Value> {
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let (customer, invoice) =
        (text(&subscription, "customer"), text(&subscription, "latest_invoice"));
    let charge = id(&shop.get("/v1/charges").await["data"][0]);
    let own = format!("/v1/customers/{customer}");
    let tax_id = [("type", "eu_vat"), ("value", "DE123456789")];
    let coupon = [("percent_off", "25"), ("duration", "forever")];
    let coupon = shop.post("/v1/coupons", &coupon).await;
    let code = [("promotion[coupon]", coupon["id"].as_str().unwrap())];
    let discounted = [("discounts[0][coupon]", coupon["id"].as_str().unwrap())];
    let subscribed = format!("/v1/subscriptions/{}?expand[]=discounts", id(&subscription));
    let meter = [
        ("display_name", "Calls"),
        ("event_name", "calls"),
        ("default_aggregation[formula]", "sum"),
    ];
    let event = [("event_name", "calls"), ("payload[stripe_customer_id]", customer.as_str())];
    let endpoint = [("url", "http://127.0.0.1:9/"), ("enabled_events[]", "*")];
    let note = [("invoice", invoice.as_str()), ("credit_amount", "100")];
    let endpoint = shop.post("/v1/webhook_endpoints", &endpoint).await;
    let endpoint = format!("/v1/webhook_endpoints/{}", id(&endpoint));
    let mut objects = vec![
        shop.get(&endpoint).await,
        shop.delete(&endpoint).await,
        shop.post(&format!("{own}/tax_ids"), &tax_id).await,
        shop.post("/v1/promotion_codes", &code).await,
        shop.post(&subscribed, &discounted).await["discounts"][0].clone(),
        shop.post("/v1/billing/meters", &meter).await,
        shop.post("/v1/billing/meter_events", &event).await,
        shop.post("/v1/billing_portal/sessions", &[("customer", customer.as_str())]).await,
        shop.get("/v1/billing_portal/configurations").await["data"][0].clone(),
        shop.post("/v1/credit_notes", &note).await,
        shop.post("/v1/test_helpers/test_clocks", &[("frozen_time", "1767225600")]).await,
        shop.stripe.dispute(&Complaint::about(charge)).unwrap(),
        shop.get(&format!("{own}/balance_transactions")).await["data"][0].clone(),
        shop.get("/v1/balance_transactions").await["data"][0].clone(),
        shop.get("/v1/payment_methods").await["data"][0].clone(),
        shop.post("/v1/subscription_schedules", &[("from_subscription", &id(&subscription))]).await,
        shop.delete(&format!("/v1/coupons/{}", id(&coupon))).await,
        coupon,
    ];
    let note = objects.iter().find(|object| object["object"] == "credit_note").unwrap();
    objects.push(note["lines"]["data"][0].clone());
    objects
}

/// What comes with what is sold.
async fn sold(shop: &Shop) -> Vec<Value> {
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

/// Fields and their types of every kind of object that the simulator has, taken from the examples of Stripe's OpenAPI
/// repository (August 2026).
const OFFICIAL: &str = include_str!("official_shapes.json");

#[tokio::test]
async fn objects_have_the_official_shapes() {
    let official: Value = serde_json::from_str(OFFICIAL).unwrap();
    let shop = Shop::open().await;
    let mut wrong = Vec::new();
    for object in objects(&shop).await {
        let name = text(&object, "object");
        let kind = if object["deleted"] == true { format!("deleted_{name}") } else { name };
        let official = official[&kind].as_object().unwrap();
        let ours = object.as_object().unwrap();
        for (field, shape) in official {
            match ours.get(field) {
                None => wrong.push(format!("{kind} lacks {field}")),
                Some(value) if !has_shape(value, shape) => {
                    wrong.push(format!("{kind}.{field} is {value}, not {shape}"));
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
fn has_shape(ours: &Value, shape: &Value) -> bool {
    match (ours, shape.as_str()) {
        (Value::Null, _) | (_, Some("null")) => true,
        (Value::Bool(_), shape) => shape == Some("boolean"),
        (Value::Number(_), shape) => shape == Some("number"),
        (Value::String(_), shape) => shape == Some("string"),
        (Value::Array(_), _) => shape.is_array(),
        (Value::Object(_), _) => shape.is_object(),
    }
}

/// Reads an object with the types of the Rust client, which refuse null where Stripe never sends it.
fn readable(object: &Value) -> bool {
    fn reads<T: miniserde::Deserialize>(text: &str) -> bool {
        miniserde::json::from_str::<T>(text).is_ok()
    }
    let json = object.to_string();
    match text(object, "object").as_str() {
        "balance_transaction" => reads::<stripe_shared::BalanceTransaction>(&json),
        "billing.meter" => reads::<stripe_billing::BillingMeter>(&json),
        "billing.meter_event" => reads::<stripe_billing::BillingMeterEvent>(&json),
        "billing_portal.configuration" => {
            reads::<stripe_billing::BillingPortalConfiguration>(&json)
        }
        "billing_portal.session" => reads::<stripe_billing::BillingPortalSession>(&json),
        "charge" => reads::<stripe_shared::Charge>(&json),
        "checkout.session" => reads::<stripe_shared::CheckoutSession>(&json),
        "coupon" if object["deleted"] == true => reads::<stripe_shared::DeletedCoupon>(&json),
        "coupon" => reads::<stripe_shared::Coupon>(&json),
        "credit_note" => reads::<stripe_shared::CreditNote>(&json),
        "credit_note_line_item" => reads::<stripe_shared::CreditNoteLineItem>(&json),
        "customer" if object["deleted"] == true => reads::<stripe_shared::DeletedCustomer>(&json),
        "customer" => reads::<stripe_shared::Customer>(&json),
        "customer_balance_transaction" => reads::<stripe_shared::CustomerBalanceTransaction>(&json),
        "discount" => reads::<stripe_shared::Discount>(&json),
        "dispute" => reads::<stripe_shared::Dispute>(&json),
        "event" => reads::<stripe_shared::Event>(&json),
        "invoice" => reads::<stripe_shared::Invoice>(&json),
        "invoice_payment" => reads::<stripe_shared::InvoicePayment>(&json),
        "item" => reads::<stripe_shared::CheckoutSessionItem>(&json),
        "line_item" => reads::<stripe_shared::InvoiceLineItem>(&json),
        "payment_intent" => reads::<stripe_shared::PaymentIntent>(&json),
        "payment_method" => reads::<stripe_shared::PaymentMethod>(&json),
        "plan" => reads::<stripe_shared::Plan>(&json),
        "price" => reads::<stripe_shared::Price>(&json),
        "product" => reads::<stripe_shared::Product>(&json),
        "promotion_code" => reads::<stripe_shared::PromotionCode>(&json),
        "refund" => reads::<stripe_shared::Refund>(&json),
        "subscription" => reads::<stripe_shared::Subscription>(&json),
        "subscription_item" => reads::<stripe_shared::SubscriptionItem>(&json),
        "subscription_schedule" => reads::<stripe_shared::SubscriptionSchedule>(&json),
        "tax_id" => reads::<stripe_shared::TaxId>(&json),
        "test_helpers.test_clock" => reads::<stripe_shared::TestHelpersTestClock>(&json),
        // The crates used here have no type for it.
        "webhook_endpoint" => true,
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
