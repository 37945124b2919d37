//! What a repetition finds after a process died: the rows that it leaves at each point, and the
//! lease that runs out. `crates/server/tests` kills the real program at the same points.

use chrono::TimeDelta;
use testing::TestApp;

use crate::{create, projects};

const LEASE: TimeDelta = TimeDelta::seconds(60);

async fn execute(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(app.db.pool()).await.unwrap();
}

#[tokio::test]
async fn an_attempt_that_died_before_its_effect_is_repeated_when_its_lease_is_over() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let first = create(&owner, "a").await.ok();
    execute(&app, "update idempotency_keys set answer = null").await;
    execute(&app, "delete from idempotency_effects").await;
    execute(&app, "delete from projects").await;
    app.advance(LEASE - TimeDelta::seconds(2));
    let early = create(&owner, "a").await;
    assert_eq!(early.header("retry-after"), Some("2"));
    assert_eq!(early.problem(), (409, "idempotency_key_in_use".into()));

    app.advance(TimeDelta::seconds(2));

    assert_ne!(create(&owner, "a").await.ok()["id"], first["id"]);
    assert_eq!(projects(&owner).await, 1);
}

#[tokio::test]
async fn an_attempt_that_died_after_its_effect_is_never_repeated() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let first = create(&owner, "a").await.ok();
    owner.delete(&format!("/v1/projects/{}", first["id"].as_str().unwrap())).await;
    execute(&app, "update idempotency_keys set answer = null").await;
    app.advance(LEASE);

    for _ in 0..2 {
        let again = create(&owner, "a").await;
        assert_eq!(again.problem(), (409, "idempotency_answer_lost".into()));
    }
    assert_eq!(projects(&owner).await, 0);
}

#[tokio::test]
async fn an_effect_of_an_earlier_attempt_does_not_outlive_the_key() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    create(&owner, "a").await.ok();
    execute(&app, "update idempotency_keys set answer = null, attempt = gen_random_uuid()").await;
    execute(&app, "delete from projects").await;
    app.advance(LEASE);

    create(&owner, "a").await.ok();

    assert_eq!(projects(&owner).await, 1);
}
