use chrono::TimeDelta;
use serde_json::json;
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{refresh, turn_on_second_factor};

/// Something sensitive.
async fn change_address(client: &Client) -> Reply {
    client.post("/v1/me/email-changes", json!({ "email": "new@example.com" })).await
}

/// Signed in, but not lately.
async fn later(app: &TestApp, owner: &Client) -> Client {
    app.advance(TimeDelta::minutes(11));
    let pair = refresh(app, owner.refresh_token.as_ref().unwrap()).await.ok();
    owner.with_key(pair["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn a_session_alone_is_not_enough_for_what_is_sensitive() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    assert_eq!(change_address(&owner).await.status, 202);

    let owner = later(&app, &owner).await;
    owner.get("/v1/me").await.ok();
    let reply = change_address(&owner).await;
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.contains("insufficient_user_authentication"), "{challenge}");
    assert_eq!(reply.problem(), (401, "reauthentication_required".into()));

    let wrong = owner.post("/v1/reauthentications", json!({ "password": "not it, really" })).await;
    assert_eq!(wrong.problem(), (401, "wrong_password".into()));
    assert_eq!(change_address(&owner).await.status, 401);

    let proved = owner.post("/v1/reauthentications", json!({ "password": PASSWORD })).await;
    assert_eq!(proved.status, 204);
    assert_eq!(change_address(&owner).await.status, 202);
}

#[tokio::test]
async fn where_a_second_factor_is_on_the_password_alone_proves_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let owner = later(&app, &owner).await;

    let half = owner.post("/v1/reauthentications", json!({ "password": PASSWORD })).await;
    assert_eq!(half.problem(), (401, "wrong_code".into()));
    assert_eq!(change_address(&owner).await.status, 401);

    let both = json!({ "password": PASSWORD, "code": app.totp_code(&totp) });
    owner.post("/v1/reauthentications", both).await.ok();
    assert_eq!(change_address(&owner).await.status, 202);
}

#[tokio::test]
async fn a_session_that_is_not_fresh_makes_no_key_and_revokes_any() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "server" })).await.ok();
    let path = format!("/v1/api-keys/{}", key["id"].as_str().unwrap());
    let owner = later(&app, &owner).await;

    let again = (401, "reauthentication_required".to_owned());
    let made = owner.post("/v1/api-keys", json!({ "name": "The thief's" })).await;
    assert_eq!(made.problem(), again);
    assert_eq!(owner.post(&format!("{path}/rotations"), json!({})).await.problem(), again);
    owner.get("/v1/api-keys").await.ok();
    assert_eq!(owner.delete(&path).await.status, 204);

    owner.post("/v1/reauthentications", json!({ "password": PASSWORD })).await.ok();
    owner.post("/v1/api-keys", json!({ "name": "server" })).await.ok();
}

#[tokio::test]
async fn a_program_never_gets_to_what_takes_a_person() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "server" })).await.ok();
    let program = owner.with_key(key["secret"].as_str().unwrap());

    assert_eq!(change_address(&program).await.problem(), (403, "forbidden".into()));
    let proof = program.post("/v1/reauthentications", json!({ "password": PASSWORD })).await;
    assert_eq!(proof.problem(), (403, "forbidden".into()));
}
