//! Operators who stand in for a customer.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};
use web::Role;

/// Asks to stand in for `user`, with a fresh code.
async fn ask(app: &TestApp, operator: &Client, user: &Client, more: Value) -> Reply {
    // No code works twice.
    app.advance(TimeDelta::seconds(30));
    let code = app.totp_code(operator.totp_url.as_ref().unwrap());
    let mut body = json!({ "user_id": user.user(), "reason": "Ticket 7", "code": code });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    operator.post("/admin/v1/impersonations", body).await
}

/// A client that stands in for `user`, and the id of that.
pub(crate) async fn stand_in(app: &TestApp, operator: &Client, user: &Client) -> (Client, String) {
    let made = ask(app, operator, user, json!({})).await.ok();
    let token = made["token"].as_str().unwrap();
    (user.with_key(token), made["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_operator_sees_what_the_customer_sees_and_both_can_tell() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let (stand_in, id) = stand_in(&app, &operator, &owner).await;

    assert_eq!(stand_in.get("/v1/projects").await.ok()["items"][0]["name"], "Apollo");
    let me = stand_in.get("/v1/me").await.ok();
    assert_eq!(me["user"]["id"], json!(owner.user()));
    assert!(me["impersonator_id"].is_string(), "for a banner");
    assert!(owner.get("/v1/me").await.ok()["impersonator_id"].is_null());

    let log = owner.get("/v1/audit-log?action=impersonation.").await.ok();
    let events = log["items"].as_array().unwrap();
    assert_eq!(events.len(), 3, "the start and each request: {log}");
    assert_eq!(events[2]["action"], "impersonation.started");
    assert_eq!(events[2]["after"]["reason"], "Ticket 7");
    for event in &events[..2] {
        assert_eq!(event["actor_kind"], "operator");
        assert_eq!(event["actor_id"], me["impersonator_id"]);
        assert_eq!(event["on_behalf_of"], json!(owner.user()));
        assert_eq!(event["after"]["impersonation"], id);
    }
    assert_eq!(events[1]["subject"], "GET /v1/projects");
}

#[tokio::test]
async fn who_stands_in_changes_no_credentials_people_payments_or_rules() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let member = app.member(&owner, Role::Member).await;
    let (stand_in, _) = stand_in(&app, &operator, &owner).await;
    let member = format!("/v1/members/{}", member.user());

    for reply in [
        stand_in.get("/v1/api-keys").await,
        stand_in.post("/v1/api-keys", json!({ "name": "a" })).await,
        stand_in.post("/v1/me/password", json!({ "password": testing::PASSWORD })).await,
        stand_in.post("/v1/me/email-changes", json!({ "email": "eve@example.com" })).await,
        stand_in.post("/v1/me/second-factor", json!({})).await,
        stand_in.post("/v1/me/identities", json!({ "provider": "simulator" })).await,
        stand_in.post("/v1/reauthentications", json!({ "password": testing::PASSWORD })).await,
        stand_in.get("/v1/sessions").await,
        stand_in.delete("/v1/sessions").await,
        stand_in.delete("/v1/sessions/current").await,
        stand_in.post("/v1/billing/portal-sessions", json!({})).await,
        stand_in.delete("/v1/billing/subscription").await,
        stand_in.post("/v1/orgs", json!({ "name": "a" })).await,
        stand_in.patch("/v1/org", json!({ "name": "a" })).await,
        stand_in
            .post("/v1/invitations", json!({ "email": "a@example.com", "role": "admin" }))
            .await,
        stand_in.patch(&member, json!({ "role": "admin" })).await,
        stand_in.delete(&member).await,
        stand_in.delete("/v1/members/me").await,
        stand_in.put("/v1/ownership-transfer", json!({ "to_user_id": owner.user() })).await,
        stand_in.post("/v1/billing/checkout-sessions", json!({ "item": "pack-10" })).await,
        stand_in.post("/v1/budgets", json!({})).await,
        stand_in.put("/v1/ai-control", json!({ "on": false })).await,
    ] {
        assert_eq!(reply.problem(), (403, "forbidden".into()));
    }
    assert_eq!(stand_in.get("/v1/members").await.status, 200);
    let own = stand_in.post("/v1/projects", json!({ "name": "Test" })).await;
    assert_eq!(own.status, 201, "what members do can be tried");
}

#[tokio::test]
async fn who_stands_in_takes_nothing_out_and_lets_nobody_in_who_stays() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let project = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let project = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    let (stand_in, _) = stand_in(&app, &operator, &owner).await;
    let nothing = uuid::Uuid::now_v7();

    for reply in [
        stand_in.post(&format!("{project}/exports"), json!({})).await,
        stand_in.get(&format!("/v1/project-exports/{nothing}/archive")).await,
        stand_in.get("/v1/usage/export").await,
        stand_in.post("/v1/me/exports", json!({})).await,
        stand_in.post("/v1/org/exports", json!({})).await,
        stand_in.get(&format!("/v1/exports/{nothing}")).await,
        stand_in.get(&format!("/v1/exports/{nothing}/archive")).await,
        stand_in.post("/v1/me/deletion", json!({})).await,
        stand_in.delete("/v1/me/deletion").await,
        stand_in.post("/v1/org/deletion", json!({})).await,
        stand_in.delete("/v1/org/deletion").await,
        stand_in.post(&format!("{project}/links"), json!({})).await,
        stand_in.post(&format!("/v1/assets/{nothing}/links"), json!({})).await,
        stand_in.post("/v1/approvals", json!({ "email": "a@example.com", "title": "a" })).await,
        stand_in.post("/v1/webhook-endpoints", json!({ "url": "https://example.com" })).await,
    ] {
        assert_eq!(reply.problem(), (403, "forbidden".into()));
    }
    // Not by a key that makes a repetition of it either.
    let named = stand_in.header("idempotency-key", "once");
    let again = named.post(&format!("{project}/links"), json!({})).await;
    assert_eq!(again.problem(), (403, "forbidden".into()));
    assert_eq!(owner.get(&format!("{project}/links")).await.ok(), json!([]));
    assert_eq!(stand_in.get(&project).await.status, 200, "it is seen all the same");
}

#[tokio::test]
async fn it_takes_a_reason_and_a_fresh_code() {
    let app = TestApp::start().await;
    let (operator, owner, other) = (app.operator().await, app.owner().await, app.owner().await);

    for reason in ["", "  ", &"x".repeat(501)] {
        let reply = ask(&app, &operator, &owner, json!({ "reason": reason })).await;
        assert_eq!(reply.problem().0, 422);
    }
    let wrong = ask(&app, &operator, &owner, json!({ "code": "000000" })).await;
    assert_eq!(wrong.problem(), (400, "invalid_code".into()));
    ask(&app, &operator, &owner, json!({})).await.ok();
    let code = app.totp_code(operator.totp_url.as_ref().unwrap());
    let body = json!({ "user_id": owner.user(), "reason": "r", "code": code });
    let replayed = operator.post("/admin/v1/impersonations", body).await;
    assert_eq!(replayed.problem(), (400, "invalid_code".into()), "a code works once");
    let elsewhere = ask(&app, &operator, &owner, json!({ "org_id": other.org() })).await;
    assert_eq!(elsewhere.problem(), (404, "user_not_found".into()), "only where they belong");
    let operators = operator.get("/admin/v1/operators").await.ok();
    for nobody in [json!(uuid::Uuid::now_v7()), operators["items"][0]["id"].clone()] {
        let reply = ask(&app, &operator, &owner, json!({ "user_id": nobody })).await;
        assert_eq!(reply.problem(), (404, "user_not_found".into()), "no customer, or an operator");
    }
}

#[tokio::test]
async fn it_ends_by_itself_when_it_is_ended_and_with_its_operator() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let over = (401, "invalid_token".to_owned());
    let (first, _) = stand_in(&app, &operator, &owner).await;
    assert_eq!(first.get("/v1/me").await.status, 200);
    app.advance(TimeDelta::minutes(15));
    assert_eq!(first.get("/v1/me").await.problem(), over, "a quarter of an hour");

    let (second, id) = stand_in(&app, &operator, &owner).await;
    assert_eq!(second.get("/v1/me").await.status, 200);
    operator.delete(&format!("/admin/v1/impersonations/{id}")).await.ok_text();
    assert_eq!(second.get("/v1/me").await.problem(), over, "ended");
    let again = operator.delete(&format!("/admin/v1/impersonations/{id}")).await;
    assert_eq!(again.problem(), (404, "impersonation_not_found".into()));

    let (third, _) = stand_in(&app, &operator, &owner).await;
    assert_eq!(third.get("/v1/me").await.status, 200);
    let other = app.operator().await;
    let operators = other.get("/admin/v1/operators").await.ok();
    let listed = operators["items"].as_array().unwrap().iter();
    let it = listed.clone().find(|it| it["email"] == operator.email).unwrap();
    other.delete(&format!("/admin/v1/operators/{}", it["id"].as_str().unwrap())).await.ok_text();
    assert_eq!(third.get("/v1/me").await.problem(), over, "its operator was let go");
    assert_eq!(operator.get("/admin/v1/operators").await.problem(), over);
    let me = listed.clone().find(|it| it["email"] == other.email).unwrap();
    let own = other.delete(&format!("/admin/v1/operators/{}", me["id"].as_str().unwrap())).await;
    assert_eq!(own.problem(), (409, "own_account".into()));
}

#[tokio::test]
async fn it_does_not_nest_and_opens_nothing_of_operators() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let (stand_in, _) = stand_in(&app, &operator, &owner).await;

    let nested = json!({ "user_id": owner.user(), "reason": "r", "code": "000000" });
    assert_eq!(stand_in.post("/admin/v1/impersonations", nested.clone()).await.problem().0, 403);
    assert_eq!(stand_in.get("/admin/v1/users").await.problem().0, 403);
    assert_eq!(owner.post("/admin/v1/impersonations", nested).await.problem().0, 403);
}
