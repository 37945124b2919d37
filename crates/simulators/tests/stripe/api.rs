use reqwest::Method;

use crate::support::{SECRET_KEY, Shop, config, id, text};

#[tokio::test]
async fn a_call_without_the_secret_key_is_refused() {
    let shop = Shop::open().await;
    let call = || shop.request(Method::GET, "/v1/customers");
    assert_eq!(call().send().await.unwrap().status(), 401);
    assert_eq!(call().bearer_auth("sk_test_other").send().await.unwrap().status(), 401);
    assert_eq!(call().bearer_auth(SECRET_KEY).send().await.unwrap().status(), 200);
    let by_curl = call().basic_auth(SECRET_KEY, Some("")).send().await.unwrap();
    assert_eq!(by_curl.status(), 200);
    assert!(by_curl.headers()["request-id"].to_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn what_is_unknown_or_missing_is_refused_by_name() {
    let shop = Shop::open().await;
    let (status, error) = shop.refused("/v1/customers", &[("colour", "red")]).await;
    assert_eq!((status, text(&error, "code").as_str()), (400, "parameter_unknown"));
    assert_eq!(error["param"], "colour");

    let (status, error) = shop.refused("/v1/products", &[]).await;
    assert_eq!((status, text(&error, "code").as_str()), (400, "parameter_missing"));
    assert_eq!(error["param"], "name");

    let (status, error) = shop.refused("/v1/customers/cus_nobody", &[("name", "x")]).await;
    assert_eq!((status, text(&error, "code").as_str()), (404, "resource_missing"));

    let form = [("customer", "cus_nobody"), ("mode", "payment"), ("success_url", "http://x")];
    let (status, error) = shop.refused("/v1/checkout/sessions", &form).await;
    assert_eq!((status, text(&error, "code").as_str()), (400, "resource_missing"));
    assert_eq!(error["param"], "customer");

    let (status, error) = shop.refused("/v1/unicorns", &[]).await;
    assert_eq!((status, text(&error, "type").as_str()), (404, "invalid_request_error"));
}

#[tokio::test]
async fn pages_of_a_list_show_everything_once_newest_first() {
    let shop = Shop::open().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.insert(0, id(&shop.post("/v1/customers", &[]).await));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop.get(&format!("/v1/customers?limit=3{cursor}")).await;
        seen.extend(page["data"].as_array().unwrap().iter().map(id));
        if page["has_more"] == false {
            break;
        }
        cursor = format!("&starting_after={}", seen.last().unwrap());
    }
    assert_eq!(seen, made);
    let back = shop.get(&format!("/v1/customers?limit=2&ending_before={}", made[3])).await;
    let back: Vec<String> = back["data"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(back, made[1..3]);
}

#[tokio::test]
async fn customers_are_found_by_email_until_they_are_deleted() {
    let shop = Shop::open().await;
    let customer = id(&shop.post("/v1/customers", &[("email", "ada@example.com")]).await);
    shop.post("/v1/customers", &[("email", "bob@example.com")]).await;
    let path = format!("/v1/customers/{customer}");
    let found = shop.get("/v1/customers?email=ada%40example.com").await;
    assert_eq!(found["data"][0]["id"], customer.as_str());
    assert_eq!(found["data"].as_array().unwrap().len(), 1);

    shop.delete(&path).await;
    assert_eq!(shop.count("/v1/customers?email=ada%40example.com").await, 0);
    assert_eq!(shop.get(&path).await["deleted"], true);
    assert_eq!(shop.refused(&path, &[("name", "Ada")]).await.0, 404);
}

#[tokio::test]
async fn a_lookup_key_belongs_to_one_price_until_it_is_transferred() {
    let shop = Shop::open().await;
    let form = [
        ("currency", "usd"),
        ("unit_amount", "1900"),
        ("recurring[interval]", "month"),
        ("product_data[name]", "Creator"),
        ("lookup_key", "creator_month"),
    ];
    let old = id(&shop.post("/v1/prices", &form).await);
    assert_eq!(shop.refused("/v1/prices", &form).await.0, 400);
    let mut transferring = form.to_vec();
    transferring.push(("transfer_lookup_key", "true"));
    let new = id(&shop.post("/v1/prices", &transferring).await);
    let found = shop.get("/v1/prices?lookup_keys[]=creator_month").await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["id"], new.as_str());
    assert!(shop.get(&format!("/v1/prices/{old}")).await["lookup_key"].is_null());
}

#[tokio::test]
async fn references_are_expanded_on_request() {
    let shop = Shop::open().await;
    let session = id(&shop.credits_session().await);
    shop.stripe.pay(&session, simulators::stripe::Card::Accepted).unwrap();
    let path = format!("/v1/checkout/sessions/{session}");
    assert!(shop.get(&path).await.get("line_items").is_none());
    let expanded = shop
        .get(&format!("{path}?expand[]=line_items&expand[]=payment_intent.latest_charge"))
        .await;
    assert_eq!(expanded["line_items"]["data"][0]["description"], "100 credits");
    assert_eq!(expanded["payment_intent"]["latest_charge"]["amount"], 1900);
    let listed = shop.get("/v1/charges?expand[]=data.payment_intent").await;
    assert_eq!(listed["data"][0]["payment_intent"]["metadata"]["org"], "org_1");
}

#[tokio::test]
async fn a_restart_finds_customers_and_idempotency_keys_again() {
    let directory = tempfile::tempdir().unwrap();
    let state_file = Some(directory.path().join("new/stripe.json"));
    let create = async |shop: &Shop| {
        let call = shop.posting("/v1/customers", &[("name", "Ada")]).header("idempotency-key", "k");
        crate::support::json(call.send().await.unwrap()).await
    };
    let first =
        Shop::open_with(simulators::stripe::Config { state_file: state_file.clone(), ..config() })
            .await;
    let customer = create(&first).await;
    drop(first);
    let second = Shop::open_with(simulators::stripe::Config { state_file, ..config() }).await;
    assert_eq!(second.get(&format!("/v1/customers/{}", id(&customer))).await, customer);
    assert_eq!(create(&second).await, customer);
    assert_ne!(id(&second.post("/v1/customers", &[]).await), id(&customer));
}

#[tokio::test]
async fn a_state_file_that_cannot_be_read_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let state_file = directory.path().join("stripe.json");
    std::fs::write(&state_file, "{").unwrap();
    let config = simulators::stripe::Config { state_file: Some(state_file), ..config() };
    assert!(simulators::stripe::Stripe::start(config).await.is_err());
}
