use reqwest::Method;
use simulators::stripe::{Card, Delivery};

use crate::support::{Shop, WEBHOOK_SECRET, id, json};

/// Pays a session; the catalog's events before it are left out of what is received.
async fn pay(shop: &Shop, delivery: Delivery) -> Vec<String> {
    let session = id(&shop.credits_session().await);
    shop.stripe.settled().await;
    let before = shop.inbox.types().len();
    shop.stripe.deliver_as(delivery);
    shop.stripe.pay(&session, Card::Accepted).unwrap();
    shop.stripe.settled().await;
    shop.inbox.types().split_off(before)
}

#[tokio::test]
async fn events_of_one_action_arrive_reversed_on_request() {
    let shop = Shop::open().await;
    let types = pay(&shop, Delivery { reverse: true, ..Delivery::default() }).await;
    let expected = ["checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"];
    assert_eq!(types, expected);
}

#[tokio::test]
async fn events_arrive_several_times_on_request() {
    let shop = Shop::open().await;
    let types = pay(&shop, Delivery { copies: 3, ..Delivery::default() }).await;
    assert_eq!(types.len(), 9);
    assert!(types.chunks(3).all(|copies| copies.iter().all(|kind| *kind == copies[0])));
    let ids: Vec<String> = shop.inbox.received().iter().map(|got| id(&got.event())).collect();
    assert_eq!(ids[ids.len() - 1], ids[ids.len() - 3]);
}

#[tokio::test]
async fn a_lost_event_stays_pending_until_it_is_redelivered() {
    let shop = Shop::open().await;
    let types = pay(&shop, Delivery { drop: true, ..Delivery::default() }).await;
    assert!(types.is_empty());
    let event = shop.stripe.events().pop().unwrap();
    assert_eq!(event["pending_webhooks"], 1);
    let attempts = shop.stripe.redeliver(&id(&event), 4, true).await.unwrap();
    assert!(attempts.len() == 4 && attempts.iter().all(|attempt| attempt.status == Some(200)));
    assert!(shop.inbox.received().last().unwrap().verifies(WEBHOOK_SECRET));
    assert_eq!(shop.get(&format!("/v1/events/{}", id(&event))).await["pending_webhooks"], 0);
    assert!(shop.stripe.redeliver("evt_none", 1, false).await.is_err());
}

#[tokio::test]
async fn a_refused_event_is_tried_again_until_it_is_taken() {
    let shop = Shop::open().await;
    shop.inbox.refuse(2);
    let customer = shop.post("/v1/customers", &[]).await;
    shop.stripe.settled().await;
    assert_eq!(shop.inbox.types(), ["customer.created"; 3]);
    let statuses: Vec<_> = shop.stripe.attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(500), Some(200)]);
    assert_eq!(shop.inbox.received()[2].event()["data"]["object"], customer);
}

#[tokio::test]
async fn an_event_shows_the_object_as_it_was_then() {
    let shop = Shop::open().await;
    let customer = id(&shop.post("/v1/customers", &[("name", "Ada")]).await);
    shop.post(&format!("/v1/customers/{customer}"), &[("name", "Bob")]).await;
    let events = shop.get("/v1/events?types[]=customer.updated&types[]=customer.created").await;
    let data = &events["data"];
    assert_eq!(data[0]["data"]["object"]["name"], "Bob");
    assert_eq!(data[0]["data"]["previous_attributes"], serde_json::json!({ "name": "Ada" }));
    assert_eq!(data[1]["data"]["object"]["name"], "Ada");
    assert!(data[0]["request"]["id"].as_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn events_and_signatures_follow_the_clock_that_was_set() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(1_767_225_600));
    shop.post("/v1/customers", &[]).await;
    shop.stripe.settled().await;
    let received = shop.inbox.received().pop().unwrap();
    assert!(received.signature.starts_with("t=1767225600,v1="));
    assert_eq!(received.event()["created"], 1_767_225_600);
    let clock = shop.request(Method::POST, "/_simulator/clock").body(r#"{"now":null}"#);
    clock.send().await.unwrap();
    let now = shop.post("/v1/customers", &[]).await;
    assert!(now["created"].as_i64().unwrap() > 1_767_225_600);
}

#[tokio::test]
async fn deliveries_are_steered_over_http_too() {
    let shop = Shop::open().await;
    let control =
        |path: &str, body: &'static str| shop.request(Method::POST, path).body(body).send();
    control("/_simulator/delivery", r#"{"drop":true}"#).await.unwrap();
    shop.post("/v1/customers", &[]).await;
    control("/_simulator/settle", "").await.unwrap();
    assert!(shop.inbox.types().is_empty());
    let event = shop.stripe.events().pop().unwrap();
    let body = format!(r#"{{"event":"{}","times":2}}"#, id(&event));
    let deliver = shop.request(Method::POST, "/_simulator/deliver").body(body);
    let attempts = json(deliver.send().await.unwrap()).await;
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(shop.inbox.types(), ["customer.created"; 2]);

    let subscription = shop.subscription(&shop.price("100", "month").await).await;
    let body = format!(r#"{{"subscription":"{}","card":"declined"}}"#, id(&subscription));
    let advance = shop.request(Method::POST, "/_simulator/advance").body(body);
    assert_eq!(json(advance.send().await.unwrap()).await["status"], "past_due");
}
