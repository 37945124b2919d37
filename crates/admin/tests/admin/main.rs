//! What operators see and do.

mod costs;

use serde_json::json;
use testing::TestApp;

#[tokio::test]
async fn operators_find_an_org_and_see_what_it_may_use() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);

    let name = &owner.email[..20];
    let found = operator.get(&format!("/admin/v1/orgs?search={}", name.to_uppercase())).await.ok();
    assert_eq!(found[0]["id"], json!(owner.org()));
    assert_eq!(found[0]["owner"], owner.email);
    assert_eq!(found.as_array().unwrap().len(), 1);
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
    let told = owner.get("/v1/audit-events?action=credits.granted").await.ok();
    assert_eq!(told["items"].as_array().unwrap().len(), 1);
    assert_eq!(told["items"][0]["actor_kind"], "operator");
    assert_eq!(told["items"][0]["after"]["reason"], "An outage");
    let log = operator.get("/admin/v1/audit-events?action=credits.granted").await.ok();
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
