//! People and organizations that operators close.

use serde_json::json;
use testing::{PASSWORD, TestApp};
use web::Role;

use crate::{count, impersonation::stand_in, sign_in, turn_on_second_factor};

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
    let listed = key.get("/v1/orgs").await;
    assert_eq!(
        listed.problem(),
        (403, "organization_suspended".into()),
        "a program is nobody's own"
    );
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
async fn who_has_nothing_but_a_suspended_org_keeps_their_account() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let other = sign_in(&app, &owner.email, PASSWORD).await.ok();
    let suspension = format!("/admin/v1/orgs/{}/suspension", owner.org());
    operator.put(&suspension, json!({ "reason": "Fraud" })).await.ok();
    assert_eq!(owner.get("/v1/me").await.problem().1, "organization_suspended");

    let orgs = owner.get("/v1/orgs").await.ok();
    assert_eq!(orgs["items"][0]["suspended"], true);
    assert_eq!(owner.get("/v1/sessions").await.ok()["items"].as_array().unwrap().len(), 2);
    let session = format!("/v1/sessions/{}", other["session_id"].as_str().unwrap());
    owner.delete(&session).await.ok_text();
    let new = "another long one 4711";
    let change = json!({ "current_password": PASSWORD, "password": new });
    owner.post("/v1/me/password", change).await.ok_text();
    turn_on_second_factor(&app, &owner).await;
    for reply in [
        owner.post("/v1/orgs", json!({ "name": "Elsewhere" })).await,
        owner.post("/v1/projects", json!({ "name": "Apollo" })).await,
        owner.patch("/v1/org", json!({ "name": "Renamed" })).await,
        owner.delete("/v1/members/me").await,
    ] {
        assert_eq!(reply.problem(), (403, "organization_suspended".into()));
    }
    owner.delete("/v1/sessions/current").await.ok_text();
    assert_eq!(owner.get("/v1/orgs").await.problem(), (401, "invalid_token".into()));
}

#[tokio::test]
async fn nobody_stands_in_for_a_customer_in_a_suspended_org() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let suspension = format!("/admin/v1/orgs/{}/suspension", owner.org());
    let (stand_in, _) = stand_in(&app, &operator, &owner).await;
    stand_in.get("/v1/me").await.ok();

    operator.put(&suspension, json!({ "reason": "Fraud" })).await.ok();

    for path in ["/v1/me", "/v1/projects", "/v1/orgs"] {
        assert_eq!(stand_in.get(path).await.problem(), (403, "organization_suspended".into()));
    }
    let work = stand_in.post("/v1/projects", json!({ "name": "Apollo" })).await;
    assert_eq!(work.problem(), (403, "organization_suspended".into()));
    let shown = operator.get(&format!("/admin/v1/orgs/{}", owner.org())).await.ok();
    assert_eq!(shown["suspension_reason"], "Fraud", "operators look at it as operators");
    operator.delete(&suspension).await.ok_text();
    stand_in.get("/v1/me").await.ok();
}

#[tokio::test]
async fn a_suspended_person_who_is_removed_meanwhile_has_an_org_when_opened_again() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let bob = app.member(&owner, Role::Member).await;
    sqlx::query("delete from memberships where user_id = $1 and org_id <> $2")
        .bind(bob.user())
        .bind(owner.org())
        .execute(app.db.pool())
        .await
        .unwrap();
    let path = format!("/admin/v1/users/{}/suspension", bob.user());
    operator.put(&path, json!({ "reason": "Stolen" })).await.ok();
    owner.delete(&format!("/v1/members/{}", bob.user())).await.ok_text();

    operator.delete(&path).await.ok_text();
    let proof = json!({ "email": bob.email, "password": testing::PASSWORD });
    let session = app.anonymous().post("/v1/sessions", proof).await.ok();
    let bob = bob.with_key(session["access_token"].as_str().unwrap());
    assert_eq!(bob.get("/v1/me").await.ok()["role"], "owner", "of an org for themselves");
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
    let again = operator.delete(&format!("{path}/suspension")).await;
    assert_eq!(again.problem(), (404, "not_suspended".into()));
    // What was worth nothing is remembered for a second.
    let works = async || key.get("/v1/me").await.status == 200;
    testing::is_noticed("its keys work again", works).await;
    assert_eq!(owner.get("/v1/me").await.problem().0, 401, "its sessions are over");
    let nobody = format!("/admin/v1/users/{}/suspension", uuid::Uuid::now_v7());
    assert_eq!(operator.put(&nobody, json!({ "reason": "r" })).await.problem().0, 404);
}

#[tokio::test]
async fn who_is_suspended_while_they_sign_in_does_not_get_in_then_or_later() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut suspending = app.db.begin().await.unwrap();
    let suspend = "update users set disabled_at = now() where id = $1";
    sqlx::query(suspend).bind(owner.user()).execute(&mut *suspending).await.unwrap();
    // The password is right, and the account was open when it was looked at.
    let signing_in = {
        let (client, email) = (app.anonymous(), owner.email.clone());
        let credentials = json!({ "email": email, "password": PASSWORD });
        tokio::spawn(async move { client.post("/v1/sessions", credentials).await })
    };
    let waits = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    testing::eventually("it waits", async || count(&app, waits).await == 1).await;
    suspending.commit().await.unwrap();

    let refused = signing_in.await.unwrap();

    assert_eq!(refused.problem(), (403, "account_disabled".into()));
    assert_eq!(count(&app, "select count(*) from sessions").await, 1, "the one before");
}
