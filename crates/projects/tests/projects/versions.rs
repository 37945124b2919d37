use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{make, path};

/// Which versions are kept, the newest first, with what they said.
async fn kept(client: &Client, project: &Value) -> Vec<(i64, String)> {
    let page = client.get(&format!("{}/versions?limit=100", path(project))).await.ok();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|it| (it["version"].as_i64().unwrap(), it["text"].as_str().unwrap().into())).collect()
}

#[tokio::test]
async fn what_a_project_said_is_kept_compared_and_said_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({ "text": "one\ntwo\nthree\n" })).await;
    let change = async |change: Value| owner.patch(&path(&made), change).await.ok();
    change(json!({ "text": "one\n2\nthree\n" })).await;
    change(json!({ "folder": "Moon" })).await;
    change(json!({ "name": "Gemini" })).await;
    assert_eq!(
        kept(&owner, &made).await,
        [(3, "one\n2\nthree\n".into()), (1, "one\ntwo\nthree\n".into())],
        "only what changes what it says"
    );

    let first = format!("{}/versions/1", path(&made));
    assert_eq!(owner.get(&first).await.ok()["name"], "Apollo");
    let difference = owner.get(&format!("{first}/difference")).await.ok();
    assert_eq!((&difference["from"], &difference["to"]), (&json!(1), &json!(4)));
    assert_eq!(difference["diff"], "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");

    let stale = owner.header("if-match", "\"3\"");
    let restoration = format!("{first}/restoration");
    let reply = stale.post(&restoration, json!({})).await;
    assert_eq!(reply.problem(), (412, "stale_version".into()));
    let restored = owner.header("if-match", "\"4\"").post(&restoration, json!({})).await;
    assert_eq!(restored.header("etag"), Some("\"5\""));
    let restored = restored.ok();
    assert_eq!((&restored["name"], &restored["text"]), (&made["name"], &made["text"]));
    assert_eq!(restored["folder"], "Moon");
    assert_eq!(kept(&owner, &made).await.len(), 3, "what it replaced is kept too");
}

#[tokio::test]
async fn the_last_hundred_versions_are_kept() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({})).await;
    for number in 0..105 {
        let text = json!({ "text": format!("{number}") });
        owner.patch(&path(&made), text).await.ok();
    }
    let kept = kept(&owner, &made).await;
    assert_eq!((kept.len(), kept[0].0, kept[99].0), (100, 105, 6));
}

#[tokio::test]
async fn moves_and_other_changes_push_no_text_out() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({ "text": "first" })).await;
    for number in 0..101 {
        owner.patch(&path(&made), json!({ "folder": format!("{number}") })).await.ok();
    }
    owner.patch(&path(&made), json!({ "text": "second" })).await.ok();
    owner.patch(&path(&made), json!({ "text": "third" })).await.ok();
    let said: Vec<_> = kept(&owner, &made).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, ["second", "first"]);
}

#[tokio::test]
async fn a_version_is_of_ones_own_project_that_is_there() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let made = make(&owner, "Apollo", json!({})).await;
    owner.patch(&path(&made), json!({ "text": "changed" })).await.ok();
    let first = format!("{}/versions/1", path(&made));
    owner.get(&first).await.ok();

    let none = owner.get(&format!("{}/versions/7", path(&made))).await;
    assert_eq!(none.problem(), (404, "project_version_not_found".into()));
    assert_eq!(other.get(&first).await.problem(), (404, "project_not_found".into()));
    let restored = other.post(&format!("{first}/restoration"), json!({})).await;
    assert_eq!(restored.problem(), (404, "project_not_found".into()));
    owner.delete(&path(&made)).await;
    assert_eq!(owner.get(&first).await.problem(), (404, "project_not_found".into()));
}

#[tokio::test]
async fn an_old_name_that_another_project_has_is_not_taken_back() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({})).await;
    owner.patch(&path(&made), json!({ "name": "Gemini" })).await.ok();
    make(&owner, "Apollo", json!({})).await;

    let restored = owner.post(&format!("{}/versions/1/restoration", path(&made)), json!({})).await;
    assert_eq!(restored.problem(), (409, "project_name_taken".into()));
    assert_eq!(owner.get(&path(&made)).await.ok()["name"], "Gemini");
}
