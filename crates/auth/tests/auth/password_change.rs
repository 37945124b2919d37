use serde_json::json;
use testing::{PASSWORD, TestApp};

use crate::{ask_for_reset, mails, sign_in};

const NEW: &str = "an entirely different phrase";

#[tokio::test]
async fn a_new_password_takes_the_old_one_and_ends_every_other_session() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let second = sign_in(&app, &owner.email, PASSWORD).await.ok();
    let other = owner.with_key(second["access_token"].as_str().unwrap());
    let link = ask_for_reset(&app, &owner.email).await;

    for (current, status) in [(None, 401), (Some("not it, really"), 401), (Some(PASSWORD), 204)] {
        let body = json!({ "current_password": current, "password": NEW });
        assert_eq!(owner.post("/v1/me/password", body).await.status, status, "{current:?}");
    }

    owner.get("/v1/me").await.ok();
    assert_eq!(other.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 401);
    assert_eq!(sign_in(&app, &owner.email, NEW).await.status, 201);
    let dead = app.anonymous().post(&link, json!({ "password": PASSWORD })).await;
    assert_eq!(dead.problem(), (400, "invalid_link".into()));
    assert_eq!(mails(&app, "security_notice").await, 1);
}

#[tokio::test]
async fn a_new_password_is_judged_like_the_first() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let body = json!({ "current_password": PASSWORD, "password": "qwerty123456" });
    let reply = owner.post("/v1/me/password", body).await;
    assert_eq!(reply.problem(), (422, "password_refused".into()));
}

#[tokio::test]
async fn a_name_is_changed_and_nothing_else() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let me = owner.patch("/v1/me", json!({ "name": " Grace " })).await.ok();
    assert_eq!(me["user"]["name"], "Grace");
    for field in ["id", "email", "email_verified_at", "role", "created_at", "password_hash"] {
        let reply = owner.patch("/v1/me", json!({ "name": "X", field: "x" })).await;
        assert_eq!(reply.problem(), (422, "invalid_body".into()), "{field}");
    }
    assert_eq!(owner.get("/v1/me").await.ok()["user"]["name"], "Grace");
}
