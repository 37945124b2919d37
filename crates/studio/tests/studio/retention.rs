use chrono::TimeDelta;
use serde_json::json;
use simulators::ai::Fault;
use testing::{Client, TestApp};

use crate::{briefs, made, order, purge, start};

/// The word that must not stay.
const SECRET: &str = "xyzzy8c41";

/// Every row of the whole database that has the word, in whatever column.
async fn sightings(app: &TestApp) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
         order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    let mut found = vec![];
    for table in tables {
        let query = format!(
            "select left(t::text, 500) from {table} t where strpos(t::text, '{SECRET}') > 0"
        );
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(app.db.pool()).await.unwrap();
        found.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    found
}

/// The same person with a key, which lasts longer than a session.
async fn lasting(client: &Client) -> Client {
    let key = client.post("/v1/api-keys", json!({ "name": "lasting", "scopes": ["*"] })).await.ok();
    client.with_key(key["secret"].as_str().unwrap())
}

#[tokio::test]
async fn with_prompts_not_kept_no_table_has_a_word_of_them_after_the_answer() {
    let (app, owner) = start().await;
    owner.put("/v1/me/prompt-retention", json!({ "keep": false })).await.ok();
    let template = json!({
        "name": "Slogan", "text": "A slogan for {{product}}",
        "variables": [{ "type": "text", "name": "product", "max_length": 99 }],
    });
    let template = owner.post("/v1/templates", template).await.ok();
    let filled = json!({
        "model": "gpt-4o-mini", "template_id": template["id"],
        "items": [{ "values": { "product": SECRET } }],
    });
    let (_, creations) = order(&owner, filled).await;
    assert_eq!(sightings(&app).await.len(), 1, "as long as it is needed");
    app.run_jobs().await;
    assert_eq!(sightings(&app).await, [""; 0], "what led to the result goes with it");
    let creation = owner.get(&creations[0]).await.ok();
    assert_eq!((&creation["status"], &creation["brief"]), (&json!("succeeded"), &json!(null)));
    assert!(creation["steps"][1]["output"].is_string(), "the result can be fetched");
    let retry = owner.post(&format!("{}/steps/plan/retries", creations[0]), json!({})).await;
    assert_eq!(retry.problem(), (409, "prompt_not_kept".into()));

    // One that failed can be retried within the hour.
    let owner = lasting(&owner).await;
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    let failed = made(&app, &owner, SECRET).await;
    assert_eq!(sightings(&app).await.len(), 1);
    purge(&app, TimeDelta::minutes(59)).await;
    assert_eq!(sightings(&app).await.len(), 1);
    purge(&app, TimeDelta::minutes(2)).await;
    assert_eq!(sightings(&app).await, [""; 0]);
    for (path, status) in [(&creations[0], "succeeded"), (&failed, "failed")] {
        let creation = owner.get(path).await.ok();
        assert_eq!(creation["status"], status);
        let outputs = creation["steps"].as_array().unwrap().iter().map(|it| &it["output"]);
        assert!(outputs.into_iter().all(serde_json::Value::is_null), "{creation}");
    }
}

#[tokio::test]
async fn what_was_kept_goes_within_the_hour_once_it_is_not_to_be_kept_and_conversations_need_it() {
    let (app, owner) = start().await;
    let path = made(&app, &owner, SECRET).await;
    let begun = owner.post("/v1/conversations", json!({ "title": SECRET })).await.ok();
    let messages = format!("/v1/conversations/{}/messages", begun["id"].as_str().unwrap());
    let say = json!({ "model": "gpt-4o-mini", "content": SECRET });
    owner.post(&messages, say.clone()).await.ok();
    owner.put(&format!("{path}/rating"), json!({ "stars": 1, "note": SECRET })).await.ok();
    owner.put("/v1/org/prompt-retention", json!({ "keep": false })).await.ok();
    let refused = owner.post(&messages, say).await;
    assert_eq!(refused.problem(), (409, "prompts_not_kept".into()));
    let owner = lasting(&owner).await;
    purge(&app, TimeDelta::minutes(59)).await;
    assert!(sightings(&app).await.len() >= 5);
    purge(&app, TimeDelta::minutes(2)).await;
    assert_eq!(sightings(&app).await, [""; 0]);
    let creation = owner.get(&path).await.ok();
    assert_eq!((&creation["status"], &creation["stars"]), (&json!("succeeded"), &json!(1)));
}

#[tokio::test]
async fn everything_is_forgotten_after_as_long_as_the_settings_say() {
    let (app, owner) = start().await;
    let path = made(&app, &owner, "A slogan").await;
    owner.post("/v1/conversations", json!({ "title": "Slogans" })).await.ok();
    let owner = lasting(&owner).await;
    purge(&app, TimeDelta::days(364)).await;
    assert_eq!(owner.get(&path).await.status, 200);
    // One that waits for its turn is not forgotten.
    let (_, waiting) = order(&owner, briefs(&["later"])).await;
    purge(&app, TimeDelta::days(2)).await;
    assert_eq!(owner.get(&path).await.problem().0, 404);
    assert_eq!(owner.get("/v1/conversations").await.ok()["items"], json!([]));
    assert_eq!(owner.get(&waiting[0]).await.status, 200);
}
