use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::Role;

const PATH: &str = "/v1/me/onboarding";

async fn set(client: &Client, step: &str, input: Value) -> testing::Reply {
    client.put(&format!("{PATH}/{step}"), input).await
}

fn status<'a>(onboarding: &'a Value, step: &str) -> &'a Value {
    let steps = onboarding["steps"].as_array().unwrap();
    &steps.iter().find(|it| it["name"] == step).unwrap()["status"]
}

/// Rows 78 and 359.
#[tokio::test]
async fn steps_are_done_by_doing_them_or_saying_so() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let start = ada.get(PATH).await.ok();
    let names: Vec<_> =
        start["steps"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "goal");
    assert!(names.contains(&"first_api_key") && names.contains(&"team"), "{names:?}");
    assert_eq!((&start["percent"], &start["next"]), (&json!(0), &json!("goal")));

    let goal = json!({ "status": "done", "choice": "write" });
    let after = set(&ada, "goal", goal).await.ok();
    assert_eq!(after["steps"][0]["choice"], "write");
    assert_ne!(after["next"], "goal");
    ada.post("/v1/api-keys", json!({ "name": "one" })).await.ok();
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10,
        "messages": [{ "role": "user", "content": "hello" }],
    });
    ada.post("/v1/chat/completions", chat).await.ok();
    app.member(&ada, Role::Viewer).await;
    let after = ada.get(PATH).await.ok();
    for step in ["first_api_key", "first_call", "team"] {
        assert_eq!(status(&after, step), "done", "{step}");
    }
}

#[tokio::test]
async fn a_step_is_skipped_taken_up_again_and_done_though_it_was_skipped() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let skipped = json!({ "status": "skipped" });
    set(&ada, "goal", skipped.clone()).await.ok();
    let after = set(&ada, "team", skipped).await.ok();
    assert_eq!(
        (status(&after, "goal"), status(&after, "team")),
        (&json!("skipped"), &json!("skipped"))
    );
    let again = set(&ada, "goal", json!({ "status": "open" })).await.ok();
    assert_eq!((status(&again, "goal"), &again["next"]), (&json!("open"), &json!("goal")));
    app.member(&ada, Role::Viewer).await;
    assert_eq!(status(&ada.get(PATH).await.ok(), "team"), "done");
}

#[tokio::test]
async fn what_was_not_done_is_not_said_to_be() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let done = json!({ "status": "done" });
    let claimed = set(&ada, "first_api_key", done.clone()).await;
    assert_eq!(claimed.problem(), (409, "step_not_done".into()));
    assert_eq!(set(&ada, "third", done.clone()).await.problem(), (404, "step_not_found".into()));
    for input in [
        done,
        json!({ "status": "done", "choice": "conquer" }),
        json!({ "status": "skipped", "choice": "write" }),
    ] {
        let refused = set(&ada, "goal", input).await;
        assert_eq!(refused.body["errors"][0]["pointer"], "/choice", "{refused:?}");
    }
    assert_eq!(ada.get(PATH).await.ok()["percent"], 0);
}

#[tokio::test]
async fn everybody_goes_their_own_way_in_each_org() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let bob = app.member(&ada, Role::Viewer).await;
    set(&ada, "goal", json!({ "status": "done", "choice": "write" })).await.ok();
    let bobs = bob.get(PATH).await.ok();
    assert_eq!(status(&bobs, "goal"), "open");
    assert_eq!(status(&bobs, "team"), "done", "the org has done it");
    let other = app.owner().await;
    assert_eq!(status(&other.get(PATH).await.ok(), "team"), "open");
}
