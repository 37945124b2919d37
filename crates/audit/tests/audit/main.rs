//! What was done is written down, for those whom it concerns, and stays.

mod chain;

use chrono::TimeDelta;
use serde_json::json;
use testing::TestApp;

#[tokio::test]
async fn what_is_done_to_an_org_is_told_to_those_who_run_it_and_to_nobody_else() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let key = ours.post("/v1/api-keys", json!({ "name": "CI", "scopes": ["*"] })).await.ok();
    let id = key["id"].as_str().unwrap();
    app.advance(TimeDelta::minutes(1));
    assert_eq!(ours.delete(&format!("/v1/api-keys/{id}")).await.status, 204);

    let events = ours.get("/v1/audit-log").await.ok();

    let of = |action: &str| {
        let events = events["items"].as_array().unwrap();
        events.iter().find(|it| it["action"] == action).unwrap().clone()
    };
    let created = of("api_key.created");
    assert_eq!(created["subject"], id);
    assert_eq!(created["actor_kind"], "user");
    assert_eq!(created["actor_id"], json!(ours.user()));
    assert_eq!(created["after"]["name"], "CI");
    assert_eq!(created["ip"], "127.0.0.1");
    assert!(created["request_id"].is_string());
    assert_eq!(events["items"][0]["action"], "api_key.revoked", "the newest first");
    assert!(!events.to_string().contains(key["secret"].as_str().unwrap()));
    assert_eq!(theirs.get("/v1/audit-log").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn the_log_is_searched_and_read_in_pages() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for name in ["a", "b", "c"] {
        owner.post("/v1/api-keys", json!({ "name": name })).await.ok();
    }
    let first = owner.get("/v1/audit-log?limit=2&action=api_key.created").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("/v1/audit-log?limit=2&action=api_key.created&cursor={cursor}");
    let second = owner.get(&path).await.ok();

    let names: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|event| event["after"]["name"].clone())
        .collect();
    assert_eq!(names, ["c", "b", "a"]);
    assert!(second["next_cursor"].is_null());
    assert_eq!(owner.get("/v1/audit-log?action=nothing").await.ok()["items"], json!([]));
    let all = owner.get("/v1/audit-log?action=api_key.&actor_kind=user").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    assert_eq!(owner.get("/v1/audit-log?action=api_key").await.ok()["items"], json!([]));
    let none = owner.get("/v1/audit-log?action=api_key.&actor_kind=operator").await.ok();
    assert_eq!(none["items"], json!([]));
    assert_eq!(owner.get("/v1/audit-log?sort=asc").await.problem().0, 422);
}

#[tokio::test]
async fn the_log_cannot_be_rewritten_not_even_by_its_owner_or_around_its_table() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    owner.post("/v1/api-keys", json!({ "name": "a" })).await.ok();
    let partition: String =
        sqlx::query_scalar("select tableoid::regclass::text from audit_events limit 1")
            .fetch_one(app.db.pool())
            .await
            .unwrap();

    for table in ["audit_events", &partition] {
        for statement in
            [format!("update {table} set action = 'x'"), format!("delete from {table}")]
        {
            let error = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(app.db.pool()).await;
            assert!(error.unwrap_err().to_string().contains("append-only"));
        }
    }
    let error = sqlx::query("truncate audit_events").execute(app.db.pool()).await.unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
    let mut tx = app.db.tenant(owner.org()).await.unwrap();
    let error = sqlx::query("delete from audit_events").execute(&mut *tx).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}
