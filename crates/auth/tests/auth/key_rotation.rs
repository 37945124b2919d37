//! Exchanging the secret of a key, and what keys may do.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, TestApp};

async fn key(owner: &Client, body: Value) -> (Client, String) {
    let key = owner.post("/v1/api-keys", body).await.ok();
    (owner.with_key(key["secret"].as_str().unwrap()), key["id"].as_str().unwrap().to_owned())
}

async fn rotate(owner: &Client, id: &str, overlap: i64) -> Client {
    let rotation = json!({ "overlap_seconds": overlap });
    let rotated = owner.post(&format!("/v1/api-keys/{id}/rotations"), rotation).await.ok();
    owner.with_key(rotated["secret"].as_str().unwrap())
}

async fn works(client: &Client) -> bool {
    client.get("/v1/me").await.status == 200
}

#[tokio::test]
async fn the_secret_before_works_until_the_stated_time_and_the_key_stays_the_same() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (old, id) = key(&owner, json!({ "name": "a", "requests_per_minute": 100 })).await;
    assert!(works(&old).await);

    let new = rotate(&owner, &id, 3600).await;

    assert_ne!(old.token, new.token);
    for client in [&old, &new] {
        assert_eq!(
            client.get("/v1/me").await.ok()["api_key_id"],
            id,
            "budgets and use stay with it"
        );
    }
    let listed = owner.get("/v1/api-keys").await.ok();
    assert_eq!(
        listed["items"][0]["previous_expires_at"],
        json!(app.clock.now() + TimeDelta::hours(1))
    );
    assert_eq!(listed["items"][0]["requests_per_minute"], 100);
    app.advance(TimeDelta::seconds(3599));
    assert!(works(&old).await);
    app.advance(TimeDelta::seconds(1));
    assert!(!works(&old).await);
    assert!(works(&new).await);
}

#[tokio::test]
async fn a_rotation_without_overlap_ends_the_secret_at_once_and_a_second_one_the_first() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (first, id) = key(&owner, json!({ "name": "a" })).await;
    assert!(works(&first).await);
    let second = rotate(&owner, &id, 0).await;
    assert!(!works(&first).await);
    assert!(works(&second).await);
    let third = rotate(&owner, &id, 3600).await;
    let fourth = rotate(&owner, &id, 3600).await;
    assert!(!works(&second).await, "two secrets at most");
    assert!(works(&third).await && works(&fourth).await);

    owner.delete(&format!("/v1/api-keys/{id}")).await.ok_text();
    assert!(!works(&third).await && !works(&fourth).await, "revoking ends both");
    let gone = owner.post(&format!("/v1/api-keys/{id}/rotations"), json!({})).await;
    assert_eq!(gone.problem(), (404, "api_key_not_found".into()));
}

#[tokio::test]
async fn a_rotation_prolongs_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let end = app.clock.now() + TimeDelta::minutes(5);
    let (old, id) = key(&owner, json!({ "name": "a", "expires_at": end })).await;
    let new = rotate(&owner, &id, 86_400).await;

    app.advance(TimeDelta::minutes(5));

    assert!(!works(&old).await && !works(&new).await);
    let late = owner.post(&format!("/v1/api-keys/{id}/rotations"), json!({})).await;
    assert_eq!(late.problem().0, 404, "an expired key is not brought back");
    for overlap in [json!(-1), json!(2_592_001), json!("1"), json!(1.5)] {
        let path = format!("/v1/api-keys/{id}/rotations");
        let wrong = owner.post(&path, json!({ "overlap_seconds": overlap })).await;
        assert_eq!(wrong.problem().0, 422, "{overlap}");
    }
}

#[tokio::test]
async fn a_secret_is_stored_as_a_hash_and_shown_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (old, id) = key(&owner, json!({ "name": "a" })).await;
    let new = rotate(&owner, &id, 3600).await;
    let rows: String = sqlx::query_scalar("select string_agg(k::text, ' ') from api_keys k")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    let log = owner.get("/v1/audit-log").await;
    for client in [&old, &new] {
        let secret = client.token.as_ref().unwrap();
        assert!(!rows.contains(&secret[12..]) && !log.text.contains(secret));
    }
}

#[tokio::test]
async fn a_key_that_only_reads_reads_everything_and_writes_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (reader, _) = key(&owner, json!({ "name": "r", "scopes": ["*:read"] })).await;
    for path in ["/v1/me", "/v1/projects", "/v1/audit-log", "/v1/members", "/v1/quotas"] {
        assert_eq!(reader.get(path).await.status, 200, "{path}");
    }
    let chat = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "a" }] });
    for reply in [
        reader.post("/v1/projects", json!({ "name": "a" })).await,
        reader.post("/v1/chat/completions", chat).await,
        reader.post("/v1/billing/checkout-sessions", json!({ "item": "pack-10" })).await,
    ] {
        assert_eq!((reply.status.as_u16(), reply.body["code"].as_str()), (403, Some("forbidden")));
    }
    assert_eq!(reader.get("/v1/api-keys").await.status, 403, "keys do not see keys");
}

#[tokio::test]
async fn a_scope_that_no_operation_asks_for_is_refused_by_name() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for scope in ["projects:fly", "project:read", "api_keys:write", "members:write", "*:write"] {
        let reply =
            owner.post("/v1/api-keys", json!({ "name": "a", "scopes": ["me:read", scope] })).await;
        let (status, code) = reply.clone().problem();
        assert_eq!((status, code.as_str()), (422, "invalid_field"), "{scope}");
    }
    let known = owner.get("/v1/permissions").await.ok();
    for permission in known.as_array().unwrap() {
        let body = json!({ "name": "a", "scopes": [permission["name"]] });
        let made = owner.post("/v1/api-keys", body).await.status == 201;
        assert_eq!(json!(made), permission["api_keys"], "{permission}");
    }
}

#[tokio::test]
async fn a_key_of_a_project_or_person_has_a_budget_of_its_own() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (limited, id) = key(&owner, json!({ "name": "a" })).await;
    let (free, _) = key(&owner, json!({ "name": "b" })).await;
    let budget = json!({
        "scope": "key", "subject_id": id, "period": "day", "unit": "requests", "amount": 1,
    });
    owner.post("/v1/budgets", budget).await.ok();
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10, "messages": [{ "role": "user", "content": "a" }],
    });
    assert_eq!(limited.post("/v1/chat/completions", chat.clone()).await.status, 200);
    let rotated = rotate(&owner, &id, 0).await;
    assert_eq!(
        rotated.post("/v1/chat/completions", chat.clone()).await.status,
        429,
        "a new secret, the same budget"
    );
    assert_eq!(free.post("/v1/chat/completions", chat).await.status, 200);
    app.assert_books_balance().await;
}
