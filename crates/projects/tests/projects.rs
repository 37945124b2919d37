//! The rules of projects, through the API.

use serde_json::json;
use simulators::ai::Fault;
use testing::TestApp;

#[tokio::test]
async fn a_new_project_is_shown_and_listed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": " Apollo " })).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, Some("\"1\"")));
    let made = made.ok();
    assert_eq!(made["name"], "Apollo");

    assert_eq!(owner.get(&path(&made)).await.ok(), made);
    assert_eq!(owner.get("/v1/projects").await.ok(), json!({ "items": [made] }));
}

#[tokio::test]
async fn a_name_is_used_once_per_org_whatever_its_case() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    ours.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    let again = ours.post("/v1/projects", json!({ "name": "APOLLO" })).await;
    assert_eq!(again.problem(), (409, "project_name_taken".into()));
    theirs.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    let other = ours.post("/v1/projects", json!({ "name": "Gemini" })).await.ok();
    let renamed = ours.patch(&path(&other), json!({ "name": "apollo" })).await;
    assert_eq!(renamed.problem(), (409, "project_name_taken".into()));
}

#[tokio::test]
async fn a_name_that_cannot_be_shown_in_one_line_is_refused_by_name_of_the_field() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let too_long = "x".repeat(101);
    for reply in [
        owner.post("/v1/projects", json!({ "name": "  " })).await,
        owner.post("/v1/projects", json!({ "name": "two\nlines" })).await,
        owner.patch(&path(&made), json!({ "name": too_long })).await,
    ] {
        assert_eq!(reply.body["errors"][0]["pointer"], "/name");
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
}

#[tokio::test]
async fn a_rename_of_an_outdated_version_is_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let first = owner.header("if-match", "\"1\"");

    let renamed = first.patch(&path(&made), json!({ "name": "Gemini" })).await;
    assert_eq!(renamed.header("etag"), Some("\"2\""));
    let stale = first.patch(&path(&made), json!({ "name": "Mercury" })).await;
    assert_eq!(stale.problem(), (412, "stale_version".into()));
    assert_eq!(owner.get(&path(&made)).await.ok()["name"], "Gemini");

    owner.patch(&path(&made), json!({ "name": "Mercury" })).await.ok();
}

#[tokio::test]
async fn of_two_renames_of_one_version_at_once_one_wins() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let (path, first) = (path(&made), owner.header("if-match", "\"1\""));

    let (one, other) = tokio::join!(
        first.patch(&path, json!({ "name": "Gemini" })),
        first.patch(&path, json!({ "name": "Mercury" })),
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn a_deleted_project_is_gone_and_its_name_is_free() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    assert_eq!(owner.delete(&path(&made)).await.status, 204);

    for reply in [
        owner.get(&path(&made)).await,
        owner.patch(&path(&made), json!({ "name": "Gemini" })).await,
        owner.delete(&path(&made)).await,
    ] {
        assert_eq!(reply.problem(), (404, "project_not_found".into()));
    }
    assert_eq!(owner.get("/v1/projects").await.ok(), json!({ "items": [] }));
    owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
}

#[tokio::test]
async fn projects_stay_inside_their_org() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let made = ours.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    for reply in [
        theirs.get(&path(&made)).await,
        theirs.patch(&path(&made), json!({ "name": "Gemini" })).await,
        theirs.delete(&path(&made)).await,
    ] {
        assert_eq!(reply.problem(), (404, "project_not_found".into()));
    }
    assert_eq!(theirs.get("/v1/projects").await.ok(), json!({ "items": [] }));
    assert_eq!(ours.get(&path(&made)).await.ok(), made);
}

#[tokio::test]
async fn pages_show_every_project_once_the_newest_first() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for name in ["a", "b", "c", "d", "e"] {
        owner.post("/v1/projects", json!({ "name": name })).await.ok();
    }

    let (mut names, mut next) = (Vec::new(), "/v1/projects?limit=2".to_owned());
    loop {
        let page = owner.get(&next).await.ok();
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/v1/projects?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn strangers_see_nothing() {
    let app = TestApp::start().await;
    let reply = app.anonymous().get("/v1/projects").await;
    assert_eq!(reply.problem(), (401, "unauthenticated".into()));
}

/// The address of a project that the API showed.
fn path(project: &serde_json::Value) -> String {
    format!("/v1/projects/{}", project["id"].as_str().unwrap())
}

#[tokio::test]
async fn drafts_are_items_of_a_job_each_charged_for_itself() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let drafts = json!({ "model": "gpt-4o-mini", "briefs": ["A slogan", "A title", "An end"] });
    let queued = owner.post(&format!("{}/drafts", path(&made)), drafts).await;
    assert_eq!(queued.status, 202);
    let job = queued.header("location").unwrap().to_owned();
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });

    app.run_jobs().await;

    let done = owner.get(&job).await.ok();
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(2), &json!(1)), "{done}");
    let items = owner.get(&format!("{job}/items")).await.ok();
    let texts = items.as_array().unwrap().iter().filter(|it| it["result"]["text"].is_string());
    assert_eq!(texts.count(), 2);
    let usage = owner.get("/v1/usage/records").await.ok();
    let charged = usage["items"].as_array().unwrap().iter().filter(|it| it["cost_nano_usd"] != 0);
    assert_eq!(charged.count(), 2, "{usage}");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn drafts_are_refused_that_nobody_could_write() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let url = format!("{}/drafts", path(&made));
    let drafts = |briefs: Vec<&str>| json!({ "model": "gpt-4o-mini", "briefs": briefs });
    for briefs in [vec![], vec!["a"; 101]] {
        assert_eq!(owner.post(&url, drafts(briefs)).await.problem().0, 422);
    }
    assert_eq!(other.post(&url, drafts(vec!["a"])).await.problem().0, 404);
}
