use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Reply, TestApp};

use crate::{ADA, execute, link_in, turn_on_second_factor};

const CODE: &str = "sign-in code";

/// Asks for a code: the challenge, and the code from the mail.
async fn ask(app: &TestApp, email: &str) -> (Value, String) {
    let asked = app.anonymous().post("/v1/magic-links", json!({ "email": email })).await;
    assert_eq!(asked.status, 202);
    app.run_jobs().await;
    let link = link_in(app, email, CODE);
    (asked.body["challenge"].clone(), link.rsplit('/').next().unwrap().to_owned())
}

async fn redeem(app: &TestApp, challenge: &Value, code: &str) -> Reply {
    let proof = json!({ "challenge": challenge, "code": code });
    app.anonymous().post("/v1/sessions/magic-link", proof).await
}

#[tokio::test]
async fn a_code_from_a_mail_signs_in_once_where_it_was_asked_for() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let (challenge, code) = ask(&app, &email).await;
    let (other, _) = ask(&app, &email).await;
    let refused = (401, "invalid_code".to_owned());

    assert_eq!(redeem(&app, &json!("guessed"), &code).await.problem(), refused);
    assert_eq!(redeem(&app, &other, &code).await.problem(), refused, "asked for elsewhere");
    let session = redeem(&app, &challenge, &code.to_lowercase()).await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    assert_eq!(client.get("/v1/me").await.ok()["user"]["email"], *email);
    assert_eq!(redeem(&app, &challenge, &code).await.problem(), refused, "used");
}

#[tokio::test]
async fn a_code_takes_five_wrong_guesses_and_lives_ten_minutes() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let (challenge, code) = ask(&app, &email).await;
    for _ in 0..5 {
        assert_eq!(redeem(&app, &challenge, "0000-0000").await.status, 401);
    }
    assert_eq!(redeem(&app, &challenge, &code).await.status, 401, "guessed at too often");

    let (challenge, code) = ask(&app, &email).await;
    app.advance(TimeDelta::minutes(10));
    assert_eq!(redeem(&app, &challenge, &code).await.status, 401, "too old");
}

#[tokio::test]
async fn asking_for_nobody_looks_the_same_and_sends_nothing() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let known = app.anonymous().post("/v1/magic-links", json!({ "email": email })).await;
    let unknown = app.anonymous().post("/v1/magic-links", json!({ "email": ADA })).await;
    app.run_jobs().await;

    assert_eq!(known.status, unknown.status);
    assert_eq!(known.body["expires_in"], unknown.body["expires_in"]);
    assert!(app.simulators.mailbox.messages_to(ADA).is_empty());
    let [known, unknown] = [known, unknown].map(|reply| reply.body["challenge"].clone());
    let known = redeem(&app, &known, "0000-0000").await.problem();
    assert_eq!(known, redeem(&app, &unknown, "0000-0000").await.problem());
}

#[tokio::test]
async fn the_link_signs_in_the_browser_that_asked_and_shows_the_code_to_others() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let asked = json!({ "email": email, "transport": "cookie" });
    let asked = app.anonymous().post("/v1/magic-links", asked).await;
    assert!(asked.body["challenge"].is_null());
    let cookie = asked.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    app.run_jobs().await;
    let link = link_in(&app, &email, CODE);

    let elsewhere = app.anonymous().get(&link).await.ok_text();
    assert!(!elsewhere.contains("<form") && elsewhere.contains(link.rsplit('/').next().unwrap()));
    assert_eq!(app.anonymous().post(&link, json!({})).await.status, 401);

    let here = app.anonymous().header("cookie", &cookie);
    assert!(here.get(&link).await.ok_text().contains("<form method=\"post\">"));
    let signed_in = here.post(&link, json!({})).await;
    assert!(signed_in.text.contains("You are signed in"), "{signed_in:?}");
    let cookies: Vec<&str> = signed_in
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|it| it.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let browser = app.anonymous().header("cookie", &cookies.join("; "));
    assert_eq!(browser.get("/v1/me").await.ok()["user"]["email"], *email);
}

#[tokio::test]
async fn a_code_from_a_mail_is_only_the_first_factor() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let (challenge, code) = ask(&app, &owner.email).await;

    let half = redeem(&app, &challenge, &code).await;
    let challenge = half.body["challenge"].clone();
    assert_eq!(half.problem(), (401, "second_factor_required".into()));
    let proof = json!({ "challenge": challenge, "code": app.totp_code(&totp) });
    app.anonymous().post("/v1/sessions/second-factor", proof).await.ok();
}

#[tokio::test]
async fn a_disabled_account_gets_no_code_and_uses_none() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let (challenge, code) = ask(&app, &email).await;
    execute(&app, "update users set disabled_at = now()").await;

    assert_eq!(redeem(&app, &challenge, &code).await.problem(), (403, "account_disabled".into()));
    let before = app.simulators.mailbox.messages_to(&email).len();
    app.anonymous().post("/v1/magic-links", json!({ "email": email })).await.ok();
    app.run_jobs().await;
    assert_eq!(app.simulators.mailbox.messages_to(&email).len(), before);
}

#[tokio::test]
async fn a_new_password_voids_codes_that_are_on_their_way() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let (challenge, code) = ask(&app, &email).await;
    let link = crate::ask_for_reset(&app, &email).await;
    let new = json!({ "password": "an entirely different phrase" });
    app.anonymous().post(&link, new).await.ok();

    assert_eq!(redeem(&app, &challenge, &code).await.status, 401);
}

#[tokio::test]
async fn the_database_does_not_tell_the_code() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let (_, code) = ask(&app, &email).await;
    let stored: Vec<u8> = sqlx::query_scalar("select code_hash from magic_links")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    let plain = |text: &str| {
        use sha2::{Digest, Sha256};
        Sha256::digest(text).to_vec()
    };
    assert!(stored != plain(&code) && stored != plain(&code.replace('-', "")));
}
