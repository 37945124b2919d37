use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{count, execute};

async fn key(owner: &Client, body: Value) -> (Client, String) {
    let key = owner.post("/v1/api-keys", body).await.ok();
    let secret = key["secret"].as_str().expect("a secret");
    (owner.with_key(secret), key["id"].as_str().expect("an id").to_owned())
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (program, id) = key(&owner, json!({ "name": "Server" })).await;

    let me = program.get("/v1/me").await.ok();
    assert_eq!((&me["api_key_id"], &me["org"]["id"]), (&json!(id), &json!(owner.org())));
    let listed = owner.get("/v1/api-keys").await;
    let secret = program.token.as_ref().unwrap();
    assert!(!listed.text.contains(secret));
    let listed = listed.ok();
    assert_eq!(listed["items"][0]["prefix"], secret[..12]);
    assert_eq!(
        (&listed["items"][0]["name"], &listed["items"][0]["scopes"]),
        (&json!("Server"), &json!(["*"]))
    );

    assert_eq!(owner.delete(&format!("/v1/api-keys/{id}")).await.status, 204);
    assert_eq!(program.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    assert_eq!(owner.get("/v1/api-keys").await.ok()["items"], json!([]));
    let again = owner.delete(&format!("/v1/api-keys/{id}")).await;
    assert_eq!(again.problem(), (404, "api_key_not_found".into()));
}

#[tokio::test]
async fn a_key_does_only_what_its_scopes_say() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (reader, _) = key(&owner, json!({ "name": "Reader", "scopes": ["projects:read"] })).await;

    reader.get("/v1/projects").await.ok();
    let write = reader.post("/v1/projects", json!({ "name": "Apollo" })).await;
    assert_eq!(write.problem(), (403, "forbidden".into()));
    assert_eq!(reader.get("/v1/me").await.problem(), (403, "forbidden".into()));
}

#[tokio::test]
async fn a_key_cannot_make_list_or_end_keys_or_sessions() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (program, id) = key(&owner, json!({ "name": "Server" })).await;

    for reply in [
        program.get("/v1/api-keys").await,
        program.post("/v1/api-keys", json!({ "name": "Another" })).await,
        program.delete(&format!("/v1/api-keys/{id}")).await,
        program.delete("/v1/sessions/current").await,
    ] {
        assert_eq!(reply.problem(), (403, "forbidden".into()));
    }
}

#[tokio::test]
async fn a_key_ends_on_its_day() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let end = app.clock.now() + TimeDelta::minutes(10);
    let (program, _) = key(&owner, json!({ "name": "Short", "expires_at": end })).await;
    program.get("/v1/me").await.ok();

    app.advance(TimeDelta::minutes(10));

    assert_eq!(program.get("/v1/me").await.problem(), (401, "invalid_token".into()));
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let past = app.clock.now() - TimeDelta::seconds(1);
    for body in [
        json!({ "name": "" }),
        json!({ "name": "a\nb" }),
        json!({ "name": "x".repeat(101) }),
        json!({ "name": "Key", "scopes": [] }),
        json!({ "name": "Key", "scopes": ["everything"] }),
        json!({ "name": "Key", "scopes": ["projects:read' or 1=1"] }),
        json!({ "name": "Key", "expires_at": past }),
        json!({ "name": "Key", "last_used_at": past }),
        json!({ "name": "Key", "org_id": owner.org() }),
    ] {
        assert_eq!(owner.post("/v1/api-keys", body.clone()).await.problem().0, 422, "{body}");
    }
    assert_eq!(count(&app, "select count(*) from api_keys").await, 0);
}

#[tokio::test]
async fn another_orgs_key_does_not_exist() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let (program, id) = key(&theirs, json!({ "name": "Theirs" })).await;

    let reply = ours.delete(&format!("/v1/api-keys/{id}")).await;
    assert_eq!(reply.problem(), (404, "api_key_not_found".into()));
    for id in ["../me", "%2e%2e", "nonsense", &"9".repeat(10_000), "%00"] {
        let reply = ours.delete(&format!("/v1/api-keys/{id}")).await;
        assert!(reply.status.is_client_error(), "{id}: {reply:?}");
    }

    assert_eq!(ours.get("/v1/api-keys").await.ok()["items"], json!([]));
    program.get("/v1/me").await.ok();
}

#[tokio::test]
async fn a_key_falls_with_its_maker() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (program, _) = key(&owner, json!({ "name": "Server" })).await;

    execute(&app, "update users set disabled_at = now()").await;

    assert_eq!(program.get("/v1/me").await.problem(), (401, "invalid_token".into()));
}

#[tokio::test]
async fn a_key_in_the_query_string_is_not_looked_at() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (program, _) = key(&owner, json!({ "name": "Server" })).await;
    let secret = program.token.unwrap();

    for name in ["api_key", "access_token", "token", "key"] {
        let reply = app.anonymous().get(&format!("/v1/me?{name}={secret}")).await;
        assert_eq!(reply.problem(), (401, "unauthenticated".into()), "{name}");
    }
}

#[tokio::test]
async fn the_use_of_a_key_is_noted() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (program, _) = key(&owner, json!({ "name": "Server" })).await;

    program.get("/v1/me").await.ok();

    let used = "select count(*) from api_keys where last_used_at is not null";
    testing::eventually("its use is noted", async || count(&app, used).await > 0).await;
    let listed = owner.get("/v1/api-keys").await.ok();
    assert_eq!(listed["items"][0]["last_used_at"], json!(app.clock.now()));
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for name in ["a", "b", "c"] {
        key(&owner, json!({ "name": name })).await;
    }

    let first = owner.get("/v1/api-keys?limit=2").await.ok();
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = owner.get(&format!("/v1/api-keys?limit=2&cursor={cursor}")).await.ok();

    let names = |page: &Value| {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|key| key["name"].as_str().expect("a name").to_owned()).collect::<String>()
    };
    assert_eq!((names(&first), names(&second)), ("ab".into(), "c".into()));
    assert!(second["next_cursor"].is_null());
}
