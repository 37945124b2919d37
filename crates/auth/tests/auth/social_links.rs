//! Accounts elsewhere that somebody is about to link when their session ends.

use serde_json::json;
use testing::{PASSWORD, TestApp};

use crate::{
    count,
    social::{go, person},
};

#[tokio::test]
async fn a_link_that_somebody_began_ends_with_the_password_they_knew() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.identity.set_person(person("99", "thief@example.com"));
    let gone = go(&owner, "/v1/me/identities", "simulator").await;

    let change = json!({ "current_password": PASSWORD, "password": "an entirely other phrase" });
    owner.post("/v1/me/password", change).await.ok();

    assert_eq!(gone.come_back().await.problem(), (400, "invalid_social_login".into()));
    assert_eq!(count(&app, "select count(*) from identities").await, 0);
}

#[tokio::test]
async fn nothing_is_linked_in_a_session_that_has_ended() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.identity.set_person(person("99", "thief@example.com"));
    let gone = go(&owner, "/v1/me/identities", "simulator").await;
    // Somebody has just taken the account back, while the request waits for its turn.
    let mut taken_back = app.db.begin().await.unwrap();
    sqlx::query("select from users where id = $1 for update")
        .bind(owner.user())
        .execute(&mut *taken_back)
        .await
        .unwrap();
    let linking = tokio::spawn(async move { gone.come_back().await });
    let waits = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    testing::eventually("it waits", async || count(&app, waits).await == 1).await;
    sqlx::query("update sessions set revoked_at = now() where user_id = $1")
        .bind(owner.user())
        .execute(&mut *taken_back)
        .await
        .unwrap();
    taken_back.commit().await.unwrap();

    let late = linking.await.unwrap();

    assert_eq!(late.problem(), (400, "invalid_social_login".into()));
    assert_eq!(count(&app, "select count(*) from identities").await, 0);
}
