//! People and organizations that operators close.

use std::time::{Duration, Instant};

use serde_json::json;
use testing::TestApp;
use web::Role;

#[tokio::test]
async fn a_suspended_org_serves_nobody_until_it_is_opened_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let member = app.member(&owner, Role::Member).await;
    let key = owner.post("/v1/api-keys", json!({ "name": "a" })).await.ok();
    let key = owner.with_key(key["secret"].as_str().unwrap());
    for client in [&owner, &member, &key] {
        client.get("/v1/me").await.ok();
    }
    let operator = app.operator().await;
    let suspension = format!("/admin/v1/orgs/{}/suspension", owner.org());

    let shown = operator.put(&suspension, json!({ "reason": "Fraud" })).await.ok();

    assert_eq!(shown["suspension_reason"], "Fraud");
    for client in [&owner, &member, &key] {
        let reply = client.get("/v1/me").await;
        assert_eq!(reply.problem(), (403, "organization_suspended".into()));
    }
    let home: String = sqlx::query_scalar(
        "select org_id::text from memberships where user_id = $1 and org_id <> $2",
    )
    .bind(member.user())
    .bind(owner.org())
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    member.header("x-slipway-org", &home).get("/v1/me").await.ok();

    operator.delete(&suspension).await.ok_text();
    owner.get("/v1/me").await.ok();
    key.get("/v1/me").await.ok();
    assert_eq!(operator.delete(&suspension).await.problem(), (404, "not_suspended".into()));
    assert_eq!(operator.put(&suspension, json!({ "reason": " " })).await.problem().0, 422);
    let log = owner.get("/v1/audit-log?action=org.").await.ok();
    assert_eq!(log["items"][0]["action"], "org.unsuspended");
    assert_eq!(log["items"][1]["after"]["reason"], "Fraud");
}

#[tokio::test]
async fn a_suspended_account_is_out_at_once_and_signs_in_anew_when_opened() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "a" })).await.ok();
    let key = owner.with_key(key["secret"].as_str().unwrap());
    key.get("/v1/me").await.ok();
    owner.get("/v1/me").await.ok();
    let operator = app.operator().await;
    let path = format!("/admin/v1/users/{}", owner.user());

    operator.put(&format!("{path}/suspension"), json!({ "reason": "Stolen" })).await.ok();

    assert_eq!(owner.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    assert_eq!(key.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    assert_eq!(operator.get(&path).await.ok()["suspension_reason"], "Stolen");
    operator.delete(&format!("{path}/suspension")).await.ok_text();
    // What was worth nothing is remembered for a second.
    let patience = Instant::now() + Duration::from_secs(10);
    while key.get("/v1/me").await.status == 401 {
        assert!(Instant::now() < patience, "its keys work again");
    }
    assert_eq!(owner.get("/v1/me").await.problem().0, 401, "its sessions are over");
    let nobody = format!("/admin/v1/users/{}/suspension", uuid::Uuid::now_v7());
    assert_eq!(operator.put(&nobody, json!({ "reason": "r" })).await.problem().0, 404);
}
