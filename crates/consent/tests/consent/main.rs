//! Policies are accepted by version, uses of data allowed by purpose; both as evidence.

use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, TestApp};

async fn publish(operator: &Client, kind: &str, text: &str) -> Value {
    operator.post("/admin/v1/policies", json!({ "kind": kind, "text": text })).await.ok()
}

async fn accept(person: &Client, policy: &Value) -> testing::Reply {
    person.post("/v1/me/policy-acceptances", json!({ "policy_id": policy["id"] })).await
}

async fn decide(person: &Client, purpose: &str, granted: bool) -> Value {
    let decision = json!({ "granted": granted });
    person.put(&format!("/v1/me/consents/{purpose}"), decision).await.ok()
}

async fn events(app: &TestApp, action: &str) -> i64 {
    sqlx::query_scalar("select count(*) from audit_events where action = $1")
        .bind(action)
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

/// Rows 361 and 362.
#[tokio::test]
async fn people_accept_the_newest_version_of_each_policy_and_a_newer_one_waits_again() {
    let app = TestApp::start().await;
    let (operator, person) = (app.operator().await, app.owner().await);
    assert_eq!(person.get("/v1/me/policies").await.ok(), json!([]), "nothing is published");
    let terms = publish(&operator, "terms", "# Terms").await;
    let privacy = publish(&operator, "privacy", "# Privacy").await;

    app.clock.advance(chrono::TimeDelta::minutes(5));
    let mine = accept(&person, &terms).await.ok();
    let accepted = |mine: &Value| -> Vec<bool> {
        mine.as_array().unwrap().iter().map(|it| it["accepted_at"].is_string()).collect()
    };
    assert_eq!(accepted(&mine), [false, true], "privacy waits: {mine}");
    app.clock.advance(chrono::TimeDelta::minutes(5));
    assert_eq!(accept(&person, &terms).await.ok(), mine, "the first time is what counts");
    assert_eq!(events(&app, "policy.accepted").await, 1);
    assert_eq!(accepted(&accept(&person, &privacy).await.ok()), [true, true]);

    let newer = publish(&operator, "terms", "# Better terms").await;
    assert_eq!(newer["version"], 2);
    assert_eq!(accepted(&person.get("/v1/me/policies").await.ok()), [true, false]);
    let (status, code) = accept(&person, &terms).await.problem();
    assert_eq!((status, code.as_str()), (409, "policy_superseded"));
    assert_eq!(accepted(&accept(&person, &newer).await.ok()), [true, true]);

    let public = app.anonymous().get("/v1/policies").await.ok();
    assert_eq!(public[1]["text"], "# Better terms", "{public}");
    assert_eq!(events(&app, "policy.published").await, 3);
    let old = format!("/v1/policies/{}", terms["id"].as_str().unwrap());
    assert_eq!(app.anonymous().get(&old).await.ok()["text"], "# Terms", "what was accepted");
    let (status, code) = accept(&person, &json!({ "id": uuid::Uuid::now_v7() })).await.problem();
    assert_eq!((status, code.as_str()), (404, "policy_not_found"));
}

#[tokio::test]
async fn versions_that_are_published_at_once_are_counted_without_gaps() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let texts: Vec<_> = (0..8).map(|n| format!("# Draft {n}")).collect();
    let published = join_all(texts.iter().map(|it| publish(&operator, "terms", it))).await;
    let mut versions: Vec<_> = published.iter().map(|it| it["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_published_policy_is_changed_by_nobody_and_an_empty_one_is_not_published() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    publish(&operator, "privacy", "# Privacy").await;
    for statement in ["update policies set text = 'less'", "delete from policies"] {
        let refused = sqlx::query(statement).execute(app.db.pool()).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    let empty = json!({ "kind": "terms", "text": " \n" });
    assert_eq!(operator.post("/admin/v1/policies", empty).await.problem().0, 422);
    let somebody = app.owner().await;
    let text = json!({ "kind": "terms", "text": "mine" });
    assert_eq!(somebody.post("/admin/v1/policies", text).await.problem().0, 403);
}

/// Rows 363 and 367.
#[tokio::test]
async fn nothing_is_allowed_before_it_is_decided_and_every_decision_is_kept() {
    let app = TestApp::start().await;
    let (person, other) = (app.owner().await, app.owner().await);
    let training = consent::Purpose::Training;
    let decided = || training.decision(app.db.pool(), person.user());
    assert_eq!(decided().await.unwrap(), None);

    decide(&person, "training", true).await;
    decide(&person, "training", true).await;
    assert_eq!(decided().await.unwrap(), Some(true));
    decide(&person, "marketing", false).await;
    let now = decide(&person, "training", false).await;
    assert_eq!(decided().await.unwrap(), Some(false));
    assert_eq!(now, person.get("/v1/me/consents").await.ok());
    let history = now.as_array().unwrap().iter();
    let history: Vec<_> = history
        .map(|it| (it["purpose"].as_str().unwrap(), it["granted"].as_bool().unwrap()))
        .collect();
    let expected = [("training", false), ("marketing", false), ("training", true)];
    assert_eq!(history, expected, "the same again is no decision");
    assert_eq!(events(&app, "consent.decided").await, 3);
    assert_eq!(other.get("/v1/me/consents").await.ok(), json!([]));
    let unknown = person.put("/v1/me/consents/everything", json!({ "granted": true })).await;
    assert!((400..500).contains(&unknown.problem().0));
}

#[tokio::test]
async fn of_decisions_at_once_each_that_is_kept_is_a_change_of_mind() {
    let app = TestApp::start().await;
    let person = app.owner().await;
    join_all((0..12).map(|n| decide(&person, "analytics", n % 2 == 0))).await;
    let mut changes: Vec<bool> =
        sqlx::query_scalar("select granted from consents where purpose = 'analytics' order by id")
            .fetch_all(app.db.pool())
            .await
            .unwrap();
    let all = changes.len();
    changes.dedup();
    assert_eq!(changes.len(), all, "each row is a change of mind");
}
