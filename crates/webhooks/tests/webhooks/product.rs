//! What the product itself tells, where it happens.

use std::collections::HashSet;

use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::Role;

use crate::listen;

async fn told(app: &TestApp, name: &str) -> Vec<Value> {
    app.run_jobs().await;
    let received = app.simulators.sink.received("/a");
    let payloads = received.iter().map(|it| serde_json::from_str::<Value>(&it.body).unwrap());
    payloads.filter(|it| it["type"] == name).map(|it| it["data"].clone()).collect()
}

async fn listening() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    (app, owner)
}

#[tokio::test]
async fn every_type_is_described_whole_and_its_example_is_what_its_schema_says() {
    let app = TestApp::start().await;
    let mut names = HashSet::new();
    for it in app.webhooks.types() {
        assert!(names.insert(it.name), "{} is there twice", it.name);
        assert!(it.name.split('.').count() == 2, "{} is no noun.verb", it.name);
        assert!(it.description.ends_with('.'), "{}", it.description);
        assert!(!it.schema.to_string().contains("$ref"), "{}: {}", it.name, it.schema);
        let described = it.schema["properties"].as_object().unwrap();
        for (field, value) in it.example.as_object().unwrap() {
            let schema = &described[field];
            let kinds = schema["type"].as_array().cloned().unwrap_or(vec![schema["type"].clone()]);
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            assert!(kinds.contains(&json!(kind)), "{}: {field} is {schema}", it.name);
            assert!(schema["description"].is_string(), "{}: {field}", it.name);
        }
    }
}

#[tokio::test]
async fn members_who_come_and_go_are_told() {
    let (app, owner) = listening().await;
    sqlx::query("update entitlements set seats = 9").execute(app.db.pool()).await.unwrap();
    let guest = app.owner().await;
    let invitation = json!({ "email": guest.email, "role": "viewer" });
    owner.post("/v1/invitations", invitation).await.ok();
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&guest.email);
    let text = mails.last().unwrap().text.as_ref().unwrap();
    let link = text.split_whitespace().find(|it| it.contains("/invitation-links/")).unwrap();
    let link = &link[link.find("/v1/").unwrap()..];
    guest.post(link, json!({})).await.ok();
    let joined = told(&app, "member.joined").await;
    assert_eq!(joined, [json!({ "user_id": guest.user(), "role": "viewer" })]);

    owner.delete(&format!("/v1/members/{}", guest.user())).await.ok_text();
    let leaver = app.member(&owner, Role::Member).await;
    leaver.delete("/v1/members/me").await.ok_text();
    let removed = told(&app, "member.removed").await;
    assert_eq!(
        removed,
        [
            json!({ "user_id": guest.user(), "role": "viewer", "left": false }),
            json!({ "user_id": leaver.user(), "role": "member", "left": true }),
        ]
    );
}

#[tokio::test]
async fn keys_and_credits_are_told() {
    let (app, owner) = listening().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let id = key["id"].as_str().unwrap();
    owner.delete(&format!("/v1/api-keys/{id}")).await.ok_text();
    assert_eq!(told(&app, "api_key.created").await[0]["name"], json!("CI"));
    assert_eq!(told(&app, "api_key.revoked").await, [json!({ "api_key_id": id })]);

    let gift = json!({ "credits": 5, "reason": "r", "reference": "one" });
    let operator = app.operator().await;
    for _ in 0..2 {
        operator.post(&format!("/admin/v1/orgs/{}/grants", owner.org()), gift.clone()).await;
    }
    let granted = told(&app, "credits.granted").await;
    assert_eq!(granted, [json!({ "credits": 5, "source": "admin", "expires_at": null })]);
}

#[tokio::test]
async fn calls_that_nobody_waits_for_tell_how_they_end() {
    let (app, owner) = listening().await;
    let chat = |model: &str| json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
    let later = owner.header("prefer", "respond-async");
    let reply = later.post("/v1/chat/completions", chat("gpt-4o-mini")).await;
    let location = reply.header("location").unwrap();
    let id = location.rsplit('/').next().unwrap();
    app.run_jobs().await;
    owner.get(&format!("{location}/events")).await.ok_text(); // until it has ended
    let completed = told(&app, "generation.completed").await;
    assert_eq!(completed, [json!({ "generation_id": id, "operation": "chat" })]);
    assert_eq!(told(&app, "generation.failed").await, [] as [Value; 0]);
}
