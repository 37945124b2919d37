//! What operators see and do.

mod costs;
mod margins;
mod people;
mod prompts;
mod queues;

use serde_json::json;
use testing::TestApp;

#[tokio::test]
async fn operators_find_an_org_and_see_what_it_may_use() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);

    let name = &owner.email[..20];
    let found = operator.get(&format!("/admin/v1/orgs?search={}", name.to_uppercase())).await.ok();
    assert_eq!(found["items"][0]["id"], json!(owner.org()));
    assert_eq!(found["items"][0]["owner"], owner.email);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let org = operator.get(&format!("/admin/v1/orgs/{}", owner.org())).await.ok();

    assert_eq!(org["quotas"]["plan"], "free");
    let nobody = format!("/admin/v1/orgs/{}", uuid::Uuid::now_v7());
    assert_eq!(operator.get(&nobody).await.problem(), (404, "org_not_found".into()));
}

#[tokio::test]
async fn credits_are_given_once_by_reference_and_both_sides_are_told() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let path = format!("/admin/v1/orgs/{}/grants", owner.org());
    let gift = json!({ "credits": 25, "reason": "An outage", "reference": "ticket-7" });

    let gifts = (0..5).map(|_| operator.post(&path, gift.clone()));
    for reply in futures::future::join_all(gifts).await {
        assert_eq!(reply.ok()["available"], 25);
    }

    assert_eq!(owner.get("/v1/quotas").await.ok()["credits"]["available"], 25);
    let told = owner.get("/v1/audit-log?action=credits.granted").await.ok();
    assert_eq!(told["items"].as_array().unwrap().len(), 1);
    assert_eq!(told["items"][0]["actor_kind"], "operator");
    assert_eq!(told["items"][0]["after"]["reason"], "An outage");
    let log = operator.get("/admin/v1/audit-log?action=credits.granted").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn absurd_gifts_are_refused() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let path = format!("/admin/v1/orgs/{}/grants", owner.org());
    let gift = json!({ "credits": 1, "reason": "r", "reference": "x" });
    for (field, value) in [
        ("credits", json!(0)),
        ("credits", json!(-1)),
        ("credits", json!(i64::MAX)),
        ("credits", json!(1.5)),
        ("reason", json!(" ")),
        ("reference", json!("")),
        ("expires_at", json!("2001-01-01T00:00:00Z")),
    ] {
        let mut gift = gift.clone();
        gift[field] = value;
        assert_eq!(operator.post(&path, gift).await.problem().0, 422, "{field}");
    }
    assert_eq!(owner.get("/v1/quotas").await.ok()["credits"]["available"], 0);
}

#[tokio::test]
async fn a_broken_rule_of_the_books_is_shown() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    assert_eq!(operator.get("/admin/v1/invariants").await.ok()["hold"], true);

    sqlx::query("update budgets set held = 1 where org_id = $1 and period = 'day'")
        .bind(owner.org())
        .execute(app.db.pool())
        .await
        .unwrap();

    let broken = operator.get("/admin/v1/invariants").await.ok();
    assert_eq!(broken["hold"], false);
    assert_eq!(broken["violations"][0]["rule"], "budget_held_is_in_flight");
}

#[tokio::test]
async fn a_route_is_changed_by_operators_audited_and_versioned() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let rules = |model: &str| json!({ "rules": [{ "models": [model] }] });
    let path = "/admin/v1/ai-routes/house";

    assert_eq!(operator.put(path, rules("gpt-4o")).await.ok()["version"], 1);
    let first = operator.header("if-match", "\"1\"");
    assert_eq!(first.put(path, rules("gpt-4o-mini")).await.ok()["version"], 2);
    assert_eq!(first.put(path, rules("gpt-4o")).await.problem().0, 412);
    for nothing in [json!({ "rules": [] }), json!({ "rules": [{ "models": [] }] })] {
        assert_eq!(operator.put(path, nothing).await.problem(), (422, "invalid_field".into()));
    }
    let call = json!({ "model": "house", "messages": [{ "role": "user", "content": "a" }] });
    let served = owner.post("/v1/chat/completions", call.clone()).await;
    assert_eq!(served.header("x-slipway-model"), Some("gpt-4o-mini"));

    let versions = operator.get(&format!("{path}/versions")).await.ok();
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let log = operator.get("/admin/v1/audit-log?action=ai_route.changed").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    assert_eq!(operator.delete(path).await.status, 204);
    let routes = operator.get("/admin/v1/ai-routes").await.ok();
    assert!(routes.as_array().unwrap().iter().all(|route| route["name"] != "house"));
    app.assert_books_balance().await;
}
