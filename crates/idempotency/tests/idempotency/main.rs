//! The rules of `Idempotency-Key`, through the API.

mod crashes;
mod scope;

use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Fault, Trouble};
use testing::{Client, Reply, TestApp};

fn apollo() -> Value {
    json!({ "name": "Apollo" })
}

async fn projects(client: &Client) -> usize {
    client.get("/v1/projects").await.ok()["items"].as_array().unwrap().len()
}

async fn create(client: &Client, key: &str) -> Reply {
    client.header("idempotency-key", key).post("/v1/projects", apollo()).await
}

async fn stored_keys(app: &TestApp) -> i64 {
    let count = sqlx::query_scalar("select count(*) from idempotency_keys");
    count.fetch_one(app.db.pool()).await.unwrap()
}

#[tokio::test]
async fn a_repetition_is_answered_to_the_byte_and_not_done_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let first = create(&owner, "a").await;
    let again = create(&owner, "a").await;

    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, None));
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.text, first.text);
    for kept in ["etag", "content-type"] {
        assert_eq!(again.header(kept), first.header(kept), "{kept}");
    }
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(projects(&owner).await, 1);
}

#[tokio::test]
async fn the_quoted_form_of_the_standard_is_the_same_key() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    create(&owner, "a").await.ok();

    assert_eq!(create(&owner, "\"a\"").await.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    create(&owner, "a").await.ok();

    let client = owner.header("idempotency-key", "a");
    let other = client.post("/v1/projects", json!({ "name": "B" })).await;

    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    assert_eq!(projects(&owner).await, 1);
}

#[tokio::test]
async fn keys_that_cannot_be_meant_are_refused_before_anything_happens() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    for bad in ["", "\"open", "tab\there", &"k".repeat(256)] {
        let reply = create(&owner, bad).await;
        assert_eq!(reply.problem(), (400, "invalid_idempotency_key".into()), "{bad:?}");
    }
    assert_eq!(projects(&owner).await, 0);
    create(&owner, &"k".repeat(255)).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_under_one_key_have_one_effect() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    for round in 0..5 {
        let key = format!("round {round}");
        let body = json!({ "name": key });
        let client = owner.header("idempotency-key", &key);
        let racing = (0..8).map(|_| client.post("/v1/projects", body.clone()));
        let replies = futures::future::join_all(racing).await;

        let made = replies.iter().filter(|it| it.status == 201);
        let ids: Vec<_> = made.map(|it| it.body["id"].clone()).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{replies:?}");
        for reply in replies.into_iter().filter(|it| it.status != 201) {
            assert!(reply.header("retry-after").is_some());
            assert_eq!(reply.problem(), (409, "idempotency_key_in_use".into()));
        }
    }
    assert_eq!(projects(&owner).await, 5);
}

#[tokio::test]
async fn a_failure_that_changed_nothing_is_not_kept() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", apollo()).await.ok();
    assert_eq!(create(&owner, "a").await.problem(), (409, "project_name_taken".into()));

    owner.delete(&format!("/v1/projects/{}", made["id"].as_str().unwrap())).await;

    create(&owner, "a").await.ok();
    assert_eq!(projects(&owner).await, 1);
}

#[tokio::test]
async fn a_checkout_that_failed_half_way_continues_under_the_same_key() {
    let app = TestApp::start().await;
    let buyer = app.owner().await.header("idempotency-key", "pack");
    let buy =
        async || buyer.post("/v1/billing/checkout-sessions", json!({ "item": "pack-10" })).await;
    let trouble = Trouble::Status { status: 500 };
    let path = "/v1/checkout/sessions".to_owned();
    app.simulators.stripe.fail(Fault { path, times: 100, trouble });
    let failed = buy().await;
    assert!(failed.status.is_server_error(), "{failed:?}");

    app.simulators.stripe.heal();

    let page = buy().await.ok();
    assert_eq!(buy().await.ok(), page);
}

#[tokio::test]
async fn a_secret_is_replayed_to_its_maker_and_unreadable_in_the_database() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let client = owner.header("idempotency-key", "key");

    let first = client.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let again = client.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();

    assert_eq!(first["secret"], again["secret"]);
    let stored: Vec<u8> = sqlx::query_scalar("select answer from idempotency_keys")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    let secret = first["secret"].as_str().unwrap().as_bytes();
    assert!(!stored.windows(secret.len()).any(|it| it == secret));
    assert!(!stored.windows(4).any(|it| it == b"name"));
}

#[tokio::test]
async fn a_client_that_leaves_interrupts_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut blocker = app.db.begin().await.unwrap();
    sqlx::query("lock table projects in exclusive mode").execute(&mut *blocker).await.unwrap();
    let request = owner.header("idempotency-key", "a").request(Method::POST, "/v1/projects");
    let sent = tokio::spawn(request.json(&apollo()).send());
    while stored_keys(&app).await == 0 {
        tokio::task::yield_now().await;
    }
    sent.abort();

    blocker.rollback().await.unwrap();

    let replayed = loop {
        let reply = create(&owner, "a").await;
        if reply.status != 409 {
            break reply;
        }
    };
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!(projects(&owner).await, 1);
}
