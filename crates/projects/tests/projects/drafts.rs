use serde_json::json;
use simulators::ai::Fault;
use testing::TestApp;

use crate::path;

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
    // They are what the project has cost.
    let cost = &owner.get("/v1/projects").await.ok()["items"][0]["cost_nano_usd"];
    assert!(cost.as_i64() > Some(0));
    let report = owner.get("/v1/usage").await.ok();
    assert_eq!(&report["total"]["cost_nano_usd"], cost, "{report}");
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
