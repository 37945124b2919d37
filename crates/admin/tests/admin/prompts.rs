//! Operators change what models are told.

use serde_json::json;
use testing::{Client, TestApp};

const PATH: &str = "/admin/v1/prompts/projects.draft";

/// How many tokens the model was told when it wrote a draft for a project.
async fn told(app: &TestApp, owner: &Client, project: &str) -> i64 {
    let before = tokens(app).await;
    let path = format!("/v1/projects/{project}/drafts");
    let drafts = json!({ "model": "gpt-4o-mini", "briefs": ["A slogan"] });
    owner.post(&path, drafts).await.ok();
    app.run_jobs().await;
    app.quotas.settled().await;
    tokens(app).await - before
}

async fn tokens(app: &TestApp) -> i64 {
    sqlx::query_scalar("select coalesce(sum(input_tokens), 0)::bigint from usage_records")
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn operators_change_a_prompt_in_versions_and_the_next_call_follows() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let list = operator.get("/admin/v1/prompts").await.ok();
    assert_eq!(list[0]["name"], "projects.draft");
    assert_eq!(list[0]["variables"], json!(["project"]));
    assert!(list[0]["changed"].is_null());
    let project = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let project = project["id"].as_str().unwrap();
    let before = told(&app, &owner, project).await;

    let long = format!("Write {}for {{{{project}}}}.", "carefully ".repeat(30));
    let first = operator.put(PATH, json!({ "text": long })).await.ok();
    assert_eq!(first["version"], 1);
    assert!(told(&app, &owner, project).await > before + 20, "the next call is told more");

    let stale = operator.header("if-match", "\"0\"");
    assert_eq!(stale.put(PATH, json!({ "text": "x" })).await.problem().0, 412);
    for wrong in ["", "for {{user}}"] {
        let reply = operator.put(PATH, json!({ "text": wrong })).await;
        assert_eq!(reply.problem().0, 422, "{wrong}");
    }
    operator.delete(PATH).await.ok_text();
    assert_eq!(told(&app, &owner, project).await, before, "as it was");
    let versions = operator.get(&format!("{PATH}/versions")).await.ok();
    assert_eq!((&versions[0]["version"], &versions[0]["text"]), (&json!(2), &json!(null)));
    assert_eq!(versions[1]["text"], json!(long));
    let written = operator.get("/admin/v1/audit-log?action=prompt.changed").await.ok();
    assert_eq!(written["items"].as_array().unwrap().len(), 2);
    let unknown = operator.put("/admin/v1/prompts/none", json!({ "text": "x" })).await;
    assert_eq!(unknown.problem(), (404, "prompt_not_found".into()));
    assert_eq!(owner.get("/admin/v1/prompts").await.status, 403);
}

#[tokio::test]
async fn changes_of_a_prompt_at_once_are_versions_one_after_the_other() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let changes = (0..6).map(|n| operator.put(PATH, json!({ "text": format!("text {n}") })));
    let replies = futures::future::join_all(changes).await;
    let mut versions: Vec<i64> =
        replies.into_iter().map(|it| it.ok()["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
}
