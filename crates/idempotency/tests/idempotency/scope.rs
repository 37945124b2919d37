//! Whose key it is, and for how long.

use chrono::TimeDelta;
use serde_json::json;
use testing::{Client, TestApp};

use crate::{create, projects, stored_keys};

#[tokio::test]
async fn the_same_key_of_somebody_else_is_another_key() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let secret = theirs.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let key = theirs.with_key(secret["secret"].as_str().unwrap());

    let mine = create(&ours, "a").await;
    let other = create(&theirs, "a").await;
    let by_key = create(&key, "a").await;

    assert_eq!((mine.status.as_u16(), mine.header("idempotency-replayed")), (201, None));
    assert_eq!((other.status.as_u16(), other.header("idempotency-replayed")), (201, None));
    assert_eq!(by_key.problem(), (409, "project_name_taken".into()), "it ran, in their org");
}

#[tokio::test]
async fn the_same_key_for_another_operation_is_another_key() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    create(&owner, "a").await.ok();

    let client = owner.header("idempotency-key", "a");
    let key = client.post("/v1/api-keys", json!({ "name": "CI" })).await;

    assert_eq!(key.status, 201);
}

/// Access tokens live shorter than keys.
async fn signed_in_again(app: &TestApp, person: &Client) -> Client {
    let credentials = json!({ "email": person.email, "password": testing::PASSWORD });
    let session = app.anonymous().post("/v1/sessions", credentials).await.ok();
    person.with_key(session["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn after_a_day_the_key_is_new_and_the_answer_is_gone() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let first = create(&owner, "a").await.ok();
    owner.delete(&format!("/v1/projects/{}", first["id"].as_str().unwrap())).await;
    app.advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    let owner = signed_in_again(&app, &owner).await;
    assert_eq!(create(&owner, "a").await.ok(), first);

    app.advance(TimeDelta::seconds(1));
    let owner = signed_in_again(&app, &owner).await;

    assert_ne!(create(&owner, "a").await.ok()["id"], first["id"]);
    app.advance(TimeDelta::hours(24));
    let purge = "select from graphile_worker.add_job(
                     'idempotency.purge', json_build_object('job', null))";
    sqlx::query(purge).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    let kept: i64 = sqlx::query_scalar(
        "select (select count(*) from idempotency_keys) + (select count(*) from idempotency_effects)",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_repetition_needs_the_permission_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    create(&owner, "a").await.ok();
    sqlx::query("update memberships set role = 'viewer' where user_id = $1")
        .bind(owner.user())
        .execute(app.db.pool())
        .await
        .unwrap();

    let refused = async || {
        let reply = create(&owner, "a").await;
        reply.status != 201 && reply.problem() == (403, "forbidden".into())
    };
    testing::is_noticed("the new role", refused).await;
}

#[tokio::test]
async fn without_the_header_nothing_is_kept() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    assert_eq!((stored_keys(&app).await, projects(&owner).await), (0, 1));
}

#[tokio::test]
async fn strangers_keep_nothing() {
    let app = TestApp::start().await;

    assert_eq!(create(&app.anonymous(), "a").await.problem().0, 401);

    assert_eq!(stored_keys(&app).await, 0);
}
