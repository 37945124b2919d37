use serde_json::{Value, json};
use simulators::stripe::{Card, Dunning};

use crate::support::{Shop, id, text};

const START: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

async fn clock(shop: &Shop) -> String {
    let time = START.to_string();
    id(&shop.post("/v1/test_helpers/test_clocks", &[("frozen_time", time.as_str())]).await)
}

/// A customer who lives by `clock` and pays with `card`.
async fn customer(shop: &Shop, clock: &str, card: &str) -> String {
    let form = [
        ("test_clock", clock),
        ("payment_method", card),
        ("invoice_settings[default_payment_method]", card),
    ];
    id(&shop.post("/v1/customers", &form).await)
}

async fn subscribe(shop: &Shop, customer: &str, more: &[(&str, &str)]) -> Value {
    let price = shop.price("4900", "month").await;
    let mut form = vec![("customer", customer), ("items[0][price]", price.as_str())];
    form.extend(more);
    shop.post("/v1/subscriptions", &form).await
}

async fn advance(shop: &Shop, clock: &str, days: i64) {
    let time = (START + days * DAY).to_string();
    let path = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    let advanced = shop.post(&path, &[("frozen_time", time.as_str())]).await;
    assert_eq!(advanced["status"], "ready");
}

async fn status(shop: &Shop, subscription: &Value) -> String {
    let path = format!("/v1/subscriptions/{}", id(subscription));
    text(&shop.get(&path).await, "status")
}

#[tokio::test]
async fn a_test_clock_renews_what_lives_by_it_month_by_month() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let subscription = subscribe(&shop, &customer, &[]).await;
    assert_eq!(
        (&subscription["status"], &subscription["created"]),
        (&"active".into(), &START.into())
    );
    assert_eq!(subscription["test_clock"], clock.as_str());
    let other = shop.subscription(&shop.price("100", "month").await).await;

    advance(&shop, &clock, 95).await;
    let invoices = shop.get(&format!("/v1/invoices?customer={customer}")).await;
    let paid: Vec<&Value> =
        invoices["data"].as_array().unwrap().iter().filter(|it| it["status"] == "paid").collect();
    assert_eq!(paid.len(), 4);
    assert_eq!(paid[0]["status_transitions"]["paid_at"], START + 90 * DAY + 3600);
    assert_eq!(shop.count(&format!("/v1/invoices?subscription={}", id(&other))).await, 1);
    let now = shop.get(&format!("/v1/subscriptions/{}", id(&subscription))).await;
    assert_eq!(now["items"]["data"][0]["current_period_start"], START + 90 * DAY);
}

#[tokio::test]
async fn a_renewal_is_a_draft_for_an_hour() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let subscription = subscribe(&shop, &customer, &[]).await;
    advance(&shop, &clock, 31).await;
    let path = format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(&subscription));
    let renewed = shop.get(&path).await;
    assert_eq!(renewed["status"], "active");
    assert_eq!(renewed["latest_invoice"]["status"], "draft");
}

#[tokio::test]
async fn what_nobody_pays_is_tried_four_times_and_then_ends_as_it_was_set() {
    for (dunning, last) in
        [(Dunning::Cancel, "canceled"), (Dunning::Unpaid, "unpaid"), (Dunning::PastDue, "past_due")]
    {
        let shop = Shop::open().await;
        shop.stripe.after_last_attempt(dunning);
        let clock = clock(&shop).await;
        let customer = customer(&shop, &clock, "pm_card_visa").await;
        let subscription = subscribe(&shop, &customer, &[]).await;
        shop.stripe.set_card(&customer, Card::Declined).unwrap();
        advance(&shop, &clock, 32).await;
        assert_eq!(status(&shop, &subscription).await, "past_due");
        advance(&shop, &clock, 47).await;
        let invoice =
            shop.get(&format!("/v1/invoices?customer={customer}")).await["data"][0].clone();
        assert_eq!((&invoice["attempt_count"], &invoice["status"]), (&4.into(), &"open".into()));
        assert_eq!(status(&shop, &subscription).await, last);

        if dunning != Dunning::Cancel {
            shop.stripe.set_card(&customer, Card::Accepted).unwrap();
            shop.post(&format!("/v1/invoices/{}/pay", id(&invoice)), &[]).await;
            assert_eq!(status(&shop, &subscription).await, "active");
        }
    }
}

#[tokio::test]
async fn a_card_replaced_in_time_makes_the_next_attempt_succeed() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let subscription = subscribe(&shop, &customer, &[]).await;
    shop.stripe.set_card(&customer, Card::Declined).unwrap();
    advance(&shop, &clock, 32).await;
    shop.stripe.set_card(&customer, Card::Accepted).unwrap();
    advance(&shop, &clock, 35).await;
    assert_eq!(status(&shop, &subscription).await, "active");
}

#[tokio::test]
async fn a_trial_is_announced_and_then_paid_for() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let subscription = subscribe(&shop, &customer, &[("trial_period_days", "14")]).await;
    assert_eq!(subscription["status"], "trialing");
    advance(&shop, &clock, 12).await;
    let told = |shop: &Shop| {
        let told = |kind: &&String| *kind == "customer.subscription.trial_will_end";
        shop.event_types().iter().filter(told).count()
    };
    assert_eq!(told(&shop), 1);
    advance(&shop, &clock, 15).await;
    assert_eq!((status(&shop, &subscription).await.as_str(), told(&shop)), ("active", 1));
    let charges = shop.get("/v1/charges").await;
    assert_eq!(charges["data"][0]["amount"], 4900);
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_it_was_agreed() {
    for (behavior, ends) in
        [("cancel", "canceled"), ("pause", "paused"), ("create_invoice", "past_due")]
    {
        let shop = Shop::open().await;
        let clock = clock(&shop).await;
        let customer = id(&shop.post("/v1/customers", &[("test_clock", clock.as_str())]).await);
        let setting = "trial_settings[end_behavior][missing_payment_method]";
        let more = [("trial_period_days", "7"), (setting, behavior)];
        let subscription = subscribe(&shop, &customer, &more).await;
        advance(&shop, &clock, 8).await;
        assert_eq!(status(&shop, &subscription).await, ends, "{behavior}");
        if ends == "paused" {
            shop.stripe.set_card(&customer, Card::Accepted).unwrap();
            let path = format!("/v1/subscriptions/{}/resume", id(&subscription));
            assert_eq!(shop.post(&path, &[]).await["status"], "active");
        }
    }
}

#[tokio::test]
async fn a_first_payment_that_fails_leaves_it_incomplete_for_a_day() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_chargeCustomerFail").await;
    let subscription = subscribe(&shop, &customer, &[]).await;
    assert_eq!(subscription["status"], "incomplete");
    advance(&shop, &clock, 1).await;
    assert_eq!(status(&shop, &subscription).await, "incomplete_expired");
    let price = shop.price("4900", "month").await;
    let form = [
        ("customer", customer.as_str()),
        ("items[0][price]", price.as_str()),
        ("payment_behavior", "error_if_incomplete"),
    ];
    let (refused, error) = shop.refused("/v1/subscriptions", &form).await;
    assert_eq!((refused, &error["code"]), (402, &"card_declined".into()));
    assert_eq!(shop.count("/v1/subscriptions?status=all").await, 1);
}

#[tokio::test]
async fn collection_pauses_until_the_time_that_was_named() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let subscription = subscribe(&shop, &customer, &[]).await;
    let until = (START + 45 * DAY).to_string();
    let form =
        [("pause_collection[behavior]", "void"), ("pause_collection[resumes_at]", until.as_str())];
    shop.post(&format!("/v1/subscriptions/{}", id(&subscription)), &form).await;
    advance(&shop, &clock, 70).await;
    let invoices = shop.get(&format!("/v1/invoices?customer={customer}")).await;
    let statuses: Vec<&Value> =
        invoices["data"].as_array().unwrap().iter().map(|invoice| &invoice["status"]).collect();
    assert_eq!(statuses, ["paid", "void", "paid"]);
}

#[tokio::test]
async fn what_falls_due_by_the_simulators_own_clock_happens_in_order() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(START));
    let subscription = shop.subscription(&shop.price("4900", "month").await).await;
    let session = shop.credits_session().await;
    shop.stripe.live_until(START + 63 * DAY).unwrap();
    assert_eq!(shop.count("/v1/invoices?status=paid").await, 3);
    let path = format!("/v1/checkout/sessions/{}", id(&session));
    assert_eq!(shop.get(&path).await["status"], "expired");
    let times: Vec<i64> =
        shop.stripe.events().iter().map(|event| event["created"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(shop.stripe.live_until(START).is_err());
    let renewed = shop.get(&format!("/v1/subscriptions/{}", id(&subscription))).await;
    assert_eq!(renewed["items"]["data"][0]["current_period_start"], START + 59 * DAY);
}

#[tokio::test]
async fn usage_is_paid_for_afterwards_and_counted_once() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let form = [
        ("display_name", "Generations"),
        ("event_name", "generations"),
        ("default_aggregation[formula]", "sum"),
    ];
    let meter = id(&shop.post("/v1/billing/meters", &form).await);
    let form = [
        ("currency", "usd"),
        ("unit_amount_decimal", "0.5"),
        ("recurring[interval]", "month"),
        ("recurring[usage_type]", "metered"),
        ("recurring[meter]", meter.as_str()),
        ("product_data[name]", "Overage"),
    ];
    let metered = id(&shop.post("/v1/prices", &form).await);
    subscribe(&shop, &customer, &[("items[1][price]", metered.as_str())]).await;
    let event = [
        ("event_name", "generations"),
        ("payload[stripe_customer_id]", customer.as_str()),
        ("payload[value]", "300"),
        ("identifier", "one"),
    ];
    assert_eq!(shop.post("/v1/billing/meter_events", &event).await["identifier"], "one");
    let (refused, error) = shop.refused("/v1/billing/meter_events", &event).await;
    assert_eq!((refused, &error["code"]), (400, &"duplicate_meter_event".into()));

    advance(&shop, &clock, 32).await;
    let invoice = shop.get(&format!("/v1/invoices?customer={customer}")).await["data"][0].clone();
    assert_eq!(invoice["total"], 4900 + 150);
    let path = format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={START}&end_time={}",
        START + DAY
    );
    assert_eq!(shop.get(&path).await["data"][0]["aggregated_value"], json!(300));
}

#[tokio::test]
async fn what_is_added_before_a_renewal_is_collected_is_billed_alone_and_settles_nothing_of_it() {
    let shop = Shop::open().await;
    let clock = clock(&shop).await;
    let customer = customer(&shop, &clock, "pm_card_visa").await;
    let subscription = subscribe(&shop, &customer, &[]).await;
    advance(&shop, &clock, 31).await;
    let item = &subscription["items"]["data"][0];
    let (same, seat) = (text(&item["price"], "id"), shop.price("1000", "month").await);
    let form = [
        ("items[0][id]", item["id"].as_str().unwrap()),
        ("items[0][price]", same.as_str()),
        ("items[0][quantity]", "1"),
        ("items[1][price]", seat.as_str()),
        ("proration_behavior", "always_invoice"),
        ("expand[]", "latest_invoice"),
    ];
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let changed = shop.post(&path, &form).await;
    let bill = &changed["latest_invoice"];
    assert_eq!((&bill["status"], &bill["total"]), (&"paid".into(), &1_000.into()));
    assert_eq!(
        bill["lines"]["data"].as_array().unwrap().len(),
        1,
        "what stays as it was has no line"
    );

    shop.stripe.set_card(&customer, Card::Declined).unwrap();
    advance(&shop, &clock, 32).await;
    assert_eq!(status(&shop, &subscription).await, "past_due");
    shop.stripe.set_card(&customer, Card::Accepted).unwrap();
    advance(&shop, &clock, 36).await;
    assert_eq!(status(&shop, &subscription).await, "active");
}
