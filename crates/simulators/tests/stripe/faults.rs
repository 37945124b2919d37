use reqwest::{Method, StatusCode};
use simulators::stripe::{Fault, Trouble};

use crate::support::{Shop, json};

fn next(times: u32, trouble: Trouble) -> Fault {
    Fault { path: "/v1/customers".to_owned(), times, trouble }
}

#[tokio::test]
async fn a_fault_hits_as_many_calls_as_asked_on_its_path_only() {
    let shop = Shop::open().await;
    shop.stripe.fail(next(2, Trouble::Status { status: 500 }));
    assert_eq!(shop.count("/v1/products").await, 0);
    for _ in 0..2 {
        let (status, error) = shop.refused("/v1/customers", &[]).await;
        assert_eq!((status, &error["type"]), (500, &"api_error".into()));
    }
    assert_eq!(shop.count("/v1/customers").await, 0);
    shop.post("/v1/customers", &[]).await;
}

#[tokio::test]
async fn refusals_on_request_look_like_stripes() {
    let shop = Shop::open().await;
    for (status, kind, code, retry) in [
        (402, "card_error", "card_declined", "false"),
        (409, "invalid_request_error", "lock_timeout", "true"),
        (429, "invalid_request_error", "rate_limit", "true"),
    ] {
        shop.stripe.fail(next(1, Trouble::Status { status }));
        let response = shop.posting("/v1/customers", &[]).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["stripe-should-retry"], retry);
        let error = json(response).await["error"].clone();
        assert_eq!((&error["type"], &error["code"]), (&kind.into(), &code.into()));
    }
}

#[tokio::test]
async fn a_reset_connection_gives_no_answer_and_does_nothing() {
    let shop = Shop::open().await;
    shop.stripe.fail(next(1, Trouble::Reset));
    let error = shop.posting("/v1/customers", &[]).send().await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert_eq!(shop.count("/v1/customers").await, 0);
}

#[tokio::test]
async fn garbage_is_not_json() {
    let shop = Shop::open().await;
    shop.stripe.fail(next(1, Trouble::Garbage));
    let response = shop.posting("/v1/customers", &[]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.text().await.unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&body).is_err());
}

#[tokio::test]
async fn a_dropped_answer_had_its_effect_and_a_retry_with_the_key_finds_it() {
    let shop = Shop::open().await;
    shop.stripe.fail(next(1, Trouble::DropAnswer));
    let call = || shop.posting("/v1/customers", &[]).header("idempotency-key", "key").send();
    assert!(call().await.is_err());
    let retried = call().await.unwrap();
    assert!(retried.headers().contains_key("idempotent-replayed"));
    assert_eq!(shop.count("/v1/customers").await, 1);
}

#[tokio::test]
async fn faults_and_state_are_reached_over_http_too() {
    let shop = Shop::open().await;
    let faults = || shop.request(Method::POST, "/_simulator/faults");
    let fault = r#"{"path":"/v1/customers","times":9,"trouble":"status","status":429}"#;
    assert_eq!(faults().body(fault).send().await.unwrap().status(), 204);
    assert_eq!(shop.refused("/v1/customers", &[]).await.0, 429);
    assert_eq!(faults().body("{}").send().await.unwrap().status(), 400);
    let state = shop.request(Method::GET, "/_simulator/state").send().await.unwrap();
    assert_eq!(json(state).await["faults"][0]["times"], 8);
    shop.request(Method::DELETE, "/_simulator/faults").send().await.unwrap();
    shop.post("/v1/customers", &[]).await;
}
