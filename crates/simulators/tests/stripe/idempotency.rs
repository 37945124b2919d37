use serde_json::Value;
use simulators::stripe::{Fault, Trouble};

use crate::support::{Shop, id, json};

async fn create(shop: &Shop, key: &str, name: &str) -> (u16, bool, Value) {
    let call = shop.posting("/v1/customers", &[("name", name)]).header("idempotency-key", key);
    let response = call.send().await.unwrap();
    let replayed = response.headers().contains_key("idempotent-replayed");
    (response.status().as_u16(), replayed, json(response).await)
}

#[tokio::test]
async fn the_same_call_with_the_same_key_has_one_effect() {
    let shop = Shop::open().await;
    let (_, replayed, first) = create(&shop, "key", "Ada").await;
    assert!(!replayed);
    let (status, replayed, second) = create(&shop, "key", "Ada").await;
    assert_eq!((status, replayed, id(&second)), (200, true, id(&first)));
    assert_eq!(shop.count("/v1/customers").await, 1);
    let (_, replayed, other) = create(&shop, "other", "Ada").await;
    assert!(!replayed);
    assert_ne!(id(&other), id(&first));
}

#[tokio::test]
async fn another_call_with_the_same_key_is_refused() {
    let shop = Shop::open().await;
    create(&shop, "key", "Ada").await;
    let (status, _, body) = create(&shop, "key", "Bob").await;
    assert_eq!((status, &body["error"]["type"]), (400, &"idempotency_error".into()));
    let elsewhere =
        shop.posting("/v1/products", &[("name", "Ada")]).header("idempotency-key", "key");
    assert_eq!(elsewhere.send().await.unwrap().status(), 400);
    assert_eq!(shop.count("/v1/customers").await, 1);
}

#[tokio::test]
async fn a_refusal_by_the_endpoint_is_repeated_but_one_of_a_parameter_is_not() {
    let shop = Shop::open().await;
    let call = async |form: &[(&str, &str)]| {
        let call = shop.posting("/v1/refunds", form).header("idempotency-key", "key");
        let response = call.send().await.unwrap();
        (response.status().as_u16(), response.headers().contains_key("idempotent-replayed"))
    };
    assert_eq!(call(&[("colour", "red")]).await, (400, false));
    assert_eq!(call(&[("charge", "ch_none")]).await, (400, false));
    assert_eq!(call(&[("charge", "ch_none")]).await, (400, true));
}

#[tokio::test]
async fn a_key_in_use_is_refused_until_its_call_ends() {
    let shop = Shop::open().await;
    let hour = Trouble::Hang { milliseconds: 3_600_000 };
    shop.stripe.fail(Fault { path: "/v1/customers".to_owned(), times: 1, trouble: hour });
    let call = shop.posting("/v1/customers", &[("name", "Ada")]).header("idempotency-key", "key");
    let hanging = tokio::spawn(call.send());
    while shop.stripe.state().unwrap()["faults"][0]["times"] == 1 {
        tokio::task::yield_now().await;
    }
    let (status, _, body) = create(&shop, "key", "Ada").await;
    assert_eq!((status, &body["error"]["code"]), (409, &"idempotency_key_in_use".into()));

    hanging.abort();
    let status = loop {
        match create(&shop, "key", "Ada").await {
            (409, ..) => tokio::task::yield_now().await,
            (status, ..) => break status,
        }
    };
    assert_eq!(status, 200);
    assert_eq!(shop.count("/v1/customers").await, 1);
}

#[tokio::test]
async fn calls_racing_with_one_key_have_one_effect() {
    let shop = Shop::open().await;
    let calls = (0..20).map(|_| create(&shop, "key", "Ada"));
    for (status, ..) in futures::future::join_all(calls).await {
        assert!(status == 200 || status == 409, "{status}");
    }
    assert_eq!(shop.count("/v1/customers").await, 1);
}
