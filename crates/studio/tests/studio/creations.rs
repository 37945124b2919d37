use serde_json::json;
use simulators::ai::Fault;
use web::Role;

use crate::{asked, briefs, charged, made, order, prompts, start};

#[tokio::test]
async fn a_creation_is_planned_and_then_made_and_each_step_is_charged_once() {
    let (app, owner) = start().await;
    let persona = json!({ "name": "Captain", "text": "You are an old captain." });
    let persona = owner.post("/v1/personas", persona).await.ok();
    let mut input = briefs(&["A slogan for a boat"]);
    input["persona_id"] = persona["id"].clone();
    let (job, creations) = order(&owner, input).await;
    assert_eq!(owner.get(&creations[0]).await.ok()["status"], "queued");
    app.run_jobs().await;

    let creation = owner.get(&creations[0]).await.ok();
    assert_eq!((&creation["status"], &creation["quality"]), (&json!("succeeded"), &json!(100)));
    let [plan, result] = creation["steps"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&plan["step"], &result["step"]), (&json!("plan"), &json!("result")));
    assert_eq!(plan["output"], "You said: A slogan for a boat");
    let asked = prompts(&app);
    let [told, brief] = asked[0].as_array().unwrap().as_slice() else { panic!("{asked:?}") };
    assert!(told["content"].as_str().unwrap().starts_with("You are an old captain.\n\nPlan how"));
    assert_eq!(brief["content"], "A slogan for a boat");
    assert_eq!(asked[1][2], json!({ "role": "assistant", "content": plan["output"] }));

    assert_eq!(charged(&app).await, (2, 0));
    let usage = owner.get("/v1/usage").await.ok();
    let cost = |step: &serde_json::Value| step["cost_nano_usd"].as_i64().unwrap();
    assert_eq!(usage["total"]["cost_nano_usd"], cost(plan) + cost(result), "{usage}");
    assert!(owner.get(&job).await.ok()["result"]["creation_id"].is_string());
    let records = owner.get("/v1/usage/records").await.ok().to_string();
    assert!(records.contains(plan["call_id"].as_str().unwrap()), "{records}");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn of_a_batch_each_is_for_itself_and_what_failed_is_retried_alone() {
    let (app, owner) = start().await;
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    let (job, creations) = order(&owner, briefs(&["A slogan", "A title", "An end"])).await;
    app.run_jobs().await;

    let done = owner.get(&job).await.ok();
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(2), &json!(1)), "{done}");
    assert_eq!(charged(&app).await, (4, 0));
    let page = owner.get("/v1/creations?min_quality=1").await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let mut failed = vec![];
    for path in &creations {
        let creation = owner.get(path).await.ok();
        if creation["status"] == "failed" {
            assert_eq!(creation["steps"][0]["problem"]["code"], "provider_refused");
            failed.push(path);
        }
    }
    assert_eq!(failed.len(), 1);
    // A provider's words may quote a prompt: they stay where prompts are.
    let items = owner.get(&format!("{job}/items")).await.ok().to_string();
    assert!(items.contains("the creation says why"), "{items}");

    let retry = owner.post(&format!("{}/steps/plan/retries", failed[0]), json!({})).await;
    assert_eq!(retry.status, 202, "{retry:?}");
    app.run_jobs().await;
    assert_eq!(owner.get(failed[0]).await.ok()["status"], "succeeded");
    assert_eq!(charged(&app).await, (6, 0));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_nobody_could_make_is_refused_by_name_of_the_field() {
    let (app, owner) = start().await;
    let many = vec!["a"; 101];
    for (field, order) in [
        ("/items", briefs(&[])),
        ("/items", briefs(&many)),
        ("/items/1/brief", briefs(&["a", " "])),
        ("/items/0/brief", briefs(&["\u{1b}[31m"])),
        ("/items/0/brief", briefs(&[&"x".repeat(20_001)])),
        ("/items/0/brief", json!({ "model": "gpt-4o-mini", "items": [{ "values": {} }] })),
        ("/model", json!({ "items": [{ "brief": "a" }] })),
        ("/max_tokens", json!({ "model": "a", "max_tokens": 0, "items": [{ "brief": "a" }] })),
    ] {
        let reply = owner.post("/v1/creations", order).await;
        assert_eq!(reply.body["errors"][0]["pointer"], field, "{reply:?}");
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
    app.run_jobs().await;
    assert_eq!(asked(&app), 0);
}

#[tokio::test]
async fn a_creation_is_its_persons_alone() {
    let (app, owner) = start().await;
    sqlx::query("update entitlements set seats = 9").execute(app.db.pool()).await.unwrap();
    let (member, stranger) = (app.member(&owner, Role::Member).await, app.owner().await);
    let path = made(&app, &owner, "A slogan").await;
    for other in [&member, &stranger] {
        assert_eq!(other.get("/v1/creations").await.ok()["items"], json!([]));
        let rating = json!({ "stars": 1 });
        for reply in [
            other.get(&path).await,
            other.delete(&path).await,
            other.put(&format!("{path}/rating"), rating).await,
            other.post(&format!("{path}/steps/plan/retries"), json!({})).await,
        ] {
            assert_eq!(reply.problem(), (404, "creation_not_found".into()));
        }
    }
    // But for how good the org's results are.
    assert_eq!(member.get("/v1/creation-scores").await.ok()[0]["results"], 1);
    assert_eq!(stranger.get("/v1/creation-scores").await.ok(), json!([]));
}

#[tokio::test]
async fn a_result_is_rated_and_averages_are_told_by_model() {
    let (app, owner) = start().await;
    let (_, waiting) = order(&owner, briefs(&["later"])).await;
    let rating = |path: &str| format!("{path}/rating");
    let early = owner.put(&rating(&waiting[0]), json!({ "stars": 5 })).await;
    assert_eq!(early.problem(), (409, "creation_not_made".into()));
    app.run_jobs().await;
    for (path, stars) in [(&waiting[0], 5), (&made(&app, &owner, "A slogan").await, 2)] {
        let rated = json!({ "stars": stars, "note": "As I see it" });
        assert_eq!(owner.put(&rating(path), rated).await.ok()["stars"], stars);
    }
    for wrong in [0, 6, -1] {
        let reply = owner.put(&rating(&waiting[0]), json!({ "stars": wrong })).await;
        assert_eq!(reply.problem().0, 422);
    }
    let scores = owner.get("/v1/creation-scores").await.ok();
    assert_eq!(scores.as_array().unwrap().len(), 1);
    let score = &scores[0];
    assert_eq!((&score["results"], &score["rated"]), (&json!(2), &json!(2)));
    assert_eq!((&score["stars"], &score["quality"]), (&json!(3.5), &json!(100.0)));
    assert!(score["model"].as_str().unwrap().starts_with("gpt-4o-mini"), "{score}");
}

#[tokio::test]
async fn a_creation_is_deleted_once_it_is_not_being_made() {
    let (app, owner) = start().await;
    let (_, creations) = order(&owner, briefs(&["A slogan"])).await;
    let early = owner.delete(&creations[0]).await;
    assert_eq!(early.problem(), (409, "creation_under_way".into()));
    app.run_jobs().await;
    assert_eq!(owner.delete(&creations[0]).await.status, 204);
    assert_eq!(owner.get(&creations[0]).await.problem().0, 404);
}
