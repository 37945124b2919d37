use std::time::{Duration, Instant};

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;
use testing::{PASSWORD, TestApp};

use crate::{
    ADA, ask_for_reset, count, execute, last_link, mails, proof, refresh, register, sign_in,
    verified,
};

const NEW: &str = "an entirely different phrase";

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;

    let wrong = sign_in(&app, ADA, "not the right one").await;
    let unknown = sign_in(&app, "nobody@example.com", "not the right one").await;

    let body = |reply: &testing::Reply| {
        let mut body = reply.body.clone();
        body["request_id"].take();
        body
    };
    assert_eq!(body(&wrong), body(&unknown));
    assert_eq!(wrong.problem(), (401, "invalid_credentials".into()));
}

#[tokio::test]
async fn signing_in_does_not_tell_whether_an_address_was_free_or_taken() {
    let app = TestApp::start().await;
    let taken = app.owner().await.email;
    // Whoever wants to know registers the address with a password of their own and tries it.
    for email in [ADA, &taken] {
        let chosen = json!({ "email": email, "password": "chosen by a stranger", "name": "X" });
        assert_eq!(app.anonymous().post("/v1/users", chosen).await.status, 202);
    }

    let free = sign_in(&app, ADA, "chosen by a stranger").await;
    let taken = sign_in(&app, &taken, "chosen by a stranger").await;

    assert_eq!((free.status, &free.body["detail"]), (taken.status, &taken.body["detail"]));
    assert_eq!(free.problem(), (401, "invalid_credentials".into()));
}

#[tokio::test]
async fn a_password_is_refused_with_the_reason() {
    let app = TestApp::start().await;
    for (password, reason) in [
        ("seven77", "too_short"),
        ("password123", "too_short"),
        (&"x".repeat(129), "too_long"),
        ("qwerty123456", "blocklist"),
        ("ada.lovelace", "blocklist"),
        ("slipwayslipway", "blocklist"),
    ] {
        let body =
            json!({ "email": "ada.lovelace@example.com", "password": password, "name": "Ada" });
        let reply = app.anonymous().post("/v1/users", body).await;
        assert_eq!(reply.body["reason"], reason, "{password}");
        assert_eq!(reply.body["errors"][0]["pointer"], "/password");
        assert_eq!(reply.problem(), (422, "password_refused".into()));
    }
    for (n, length) in [64, 128].into_iter().enumerate() {
        let email = format!("long{n}@example.com");
        let body = json!({ "email": email, "password": "y".repeat(length), "name": "Ada" });
        assert_eq!(app.anonymous().post("/v1/users", body).await.status, 202);
    }
}

#[tokio::test]
async fn a_hash_of_former_strength_is_renewed_when_its_owner_signs_in() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    // "a long and winding passphrase" with m=64, t=1, p=1.
    let hash = weak_hash();
    sqlx::query("update users set password_hash = $1")
        .bind(&hash)
        .execute(app.db.pool())
        .await
        .unwrap();

    assert_eq!(sign_in(&app, ADA, "not the right one").await.status, 401);
    assert_eq!(
        count(&app, "select count(*) from users where password_hash like '%m=64,%'").await,
        1
    );
    assert_eq!(sign_in(&app, ADA, PASSWORD).await.status, 201);

    let renewed =
        "select count(*) from users where password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(count(&app, renewed).await, 1);
    assert_eq!(sign_in(&app, ADA, PASSWORD).await.status, 201);
}

fn weak_hash() -> String {
    use argon2::{Argon2, Params, PasswordHasher};
    let former = Argon2::from(Params::new(64, 1, 1, None).unwrap());
    former.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

#[tokio::test]
async fn a_new_password_ends_everything_the_old_one_opened() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let session = sign_in(&app, ADA, PASSWORD).await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    client.get("/v1/me").await.ok();

    let link = ask_for_reset(&app, ADA).await;
    assert_eq!(app.anonymous().post(&link, json!({ "password": NEW })).await.status, 204);

    assert_eq!(client.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    let refreshed = refresh(&app, session["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.problem(), (401, "invalid_refresh_token".into()));
    assert_eq!(sign_in(&app, ADA, PASSWORD).await.status, 401);
    assert_eq!(sign_in(&app, ADA, NEW).await.status, 201);
    let again = app.anonymous().post(&link, json!({ "password": NEW })).await;
    assert_eq!(again.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn a_reset_link_lives_ten_minutes_and_only_the_newest_works() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let (first, second) = (ask_for_reset(&app, ADA).await, ask_for_reset(&app, ADA).await);
    let reset = |link: String| {
        let client = app.anonymous();
        async move { client.post(&link, json!({ "password": NEW })).await }
    };

    assert_eq!(reset(first).await.problem(), (400, "invalid_link".into()));
    app.advance(TimeDelta::minutes(10));
    assert_eq!(reset(second).await.problem(), (400, "invalid_link".into()));
    assert_eq!(reset(ask_for_reset(&app, ADA).await).await.status, 204);
}

#[tokio::test]
async fn a_reset_that_is_refused_does_not_cost_the_link() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let link = ask_for_reset(&app, ADA).await;

    let weak = app.anonymous().post(&link, json!({ "password": "short" })).await;
    assert_eq!(weak.problem(), (422, "password_refused".into()));
    app.anonymous().get(&link).await.ok_text();

    assert_eq!(app.anonymous().post(&link, json!({ "password": NEW })).await.status, 204);
}

#[tokio::test]
async fn a_browser_chooses_its_password_on_our_page() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let link = ask_for_reset(&app, ADA).await;
    let browser = app.anonymous().header("accept", "text/html");
    let submit = |password: &'static str| {
        let form = browser.request(Method::POST, &link);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let form = form.body(format!("password={}", password.replace(' ', "+")));
        async move { testing::Reply::read(form.send().await.unwrap()).await }
    };

    let page = browser.get(&link).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self'") && policy.contains("default-src 'none'"));
    assert!(page.ok_text().contains("name=\"password\""));
    let refused = submit("short").await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("at least 12 characters"));
    assert!(submit(NEW).await.ok_text().contains("Password changed"));
    assert_eq!(sign_in(&app, ADA, NEW).await.status, 201);
}

#[tokio::test]
async fn asking_to_reset_an_unknown_address_is_answered_like_a_known_one() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;

    let known = app.anonymous().post("/v1/password-resets", json!({ "email": ADA })).await;
    let unknown = json!({ "email": "nobody@example.com" });
    let unknown = app.anonymous().post("/v1/password-resets", unknown).await;
    app.run_jobs().await;

    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!(known.status, 202);
    assert_eq!(mails(&app, "password_reset").await, 1);
    assert!(app.simulators.mailbox.messages_to("nobody@example.com").is_empty());
}

#[tokio::test]
async fn what_a_stranger_registered_is_no_account_to_reset() {
    let app = TestApp::start().await;
    register(&app, ADA).await;

    let asked = app.anonymous().post("/v1/password-resets", json!({ "email": ADA })).await;
    app.run_jobs().await;

    assert_eq!(asked.status, 202);
    assert_eq!(mails(&app, "password_reset").await, 0);
}

#[tokio::test]
async fn a_reset_ends_api_keys_only_if_their_maker_says_so() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "server" })).await.ok();
    let program = owner.with_key(key["secret"].as_str().unwrap());

    let link = ask_for_reset(&app, &owner.email).await;
    app.anonymous().post(&link, json!({ "password": NEW })).await.ok();
    program.get("/v1/me").await.ok();

    let link = ask_for_reset(&app, &owner.email).await;
    assert!(app.anonymous().get(&link).await.ok_text().contains("name=\"revoke_api_keys\""));
    let all = json!({ "password": "yet another long phrase", "revoke_api_keys": true });
    app.anonymous().post(&link, all).await.ok();
    assert_eq!(program.get("/v1/me").await.problem(), (401, "invalid_token".into()));
}

#[tokio::test]
async fn the_costs_of_hashing_are_settings_and_hashes_follow_them() {
    let app = TestApp::start_with(|settings| {
        settings.auth.passwords.argon2_memory_kib = 12 * 1024;
        settings.auth.passwords.argon2_passes = 3;
    })
    .await;
    verified(&app, ADA).await;
    let made = "select count(*) from users where password_hash like '%$m=12288,t=3,p=1$%'";
    assert_eq!(count(&app, made).await, 1);
}

/// Asks whether the product lives while 200 people sign in; answers what 95 of 100 answers took at most.
async fn liveness_during_200_sign_ins(app: &TestApp) -> Duration {
    let client = app.anonymous();
    let attempts: Vec<_> = (0..200)
        .map(|n| {
            let nobody = json!({ "email": format!("nobody-{n}@example.com"), "password": "not the right one" });
            let client = client.clone();
            tokio::spawn(async move { client.post("/v1/sessions", nobody).await.status })
        })
        .collect();

    let mut took = Vec::new();
    while attempts.iter().any(|attempt| !attempt.is_finished()) {
        let began = Instant::now();
        client.get("/health/live").await.ok();
        took.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    for attempt in attempts {
        assert_eq!(attempt.await.unwrap(), 401, "each was hashed");
    }
    assert!(took.len() > 20, "the sign-ins were over before anybody could ask");
    took.sort_unstable();
    took[took.len() * 95 / 100]
}

/// Hashes of full cost. Were passwords hashed on the server's threads, no round would be quick; on a machine that is
/// busy with other things one in a few is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sign_ins_at_once_leave_liveness_quick() {
    let app = TestApp::start().await;
    let mut rounds = Vec::new();
    while rounds.last().is_none_or(|p95| *p95 >= Duration::from_millis(100)) {
        assert!(rounds.len() < 10, "{rounds:?}");
        rounds.push(liveness_during_200_sign_ins(&app).await);
    }
}

#[tokio::test]
async fn a_disabled_account_stays_out() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let link = ask_for_reset(&app, ADA).await;
    execute(&app, "update users set disabled_at = now()").await;

    app.anonymous().post(&link, json!({ "password": NEW })).await;
    assert_eq!(sign_in(&app, ADA, NEW).await.problem(), (403, "account_disabled".into()));
    let before = mails(&app, "password_reset").await;
    app.anonymous().post("/v1/password-resets", json!({ "email": ADA })).await.ok();
    app.run_jobs().await;
    assert_eq!(mails(&app, "password_reset").await, before);
}

#[tokio::test]
async fn a_link_for_one_thing_does_nothing_else() {
    let app = TestApp::start().await;
    let verification = register(&app, ADA).await;
    let token = verification.rsplit('/').next().unwrap();

    let reset = format!("/v1/password-resets/{token}");
    let crossed = app.anonymous().post(&reset, json!({ "password": NEW })).await;
    assert_eq!(crossed.problem(), (400, "invalid_link".into()));
    let as_token = app.anonymous().with_key(token).get("/v1/me").await;
    assert_eq!(as_token.problem(), (401, "invalid_token".into()));

    app.anonymous().post(&verification, proof()).await.ok();
    let reset = ask_for_reset(&app, ADA).await;
    let token = reset.rsplit('/').next().unwrap();
    let crossed = app.anonymous().post(&format!("/v1/email-verifications/{token}"), proof()).await;
    assert_eq!(crossed.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn nothing_stored_can_be_used_to_get_in() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "Key" })).await.ok();
    let link = ask_for_reset(&app, &owner.email).await;
    let secrets = [
        PASSWORD,
        owner.refresh_token.as_deref().unwrap(),
        key["secret"].as_str().unwrap(),
        link.rsplit('/').next().unwrap(),
    ];

    let dump =
        "select string_agg(query_to_xml(format('select t::text from %I.%I t', schemaname, tablename),
                                               true, true, '')::text, '')
                from pg_tables
                where schemaname in ('public', 'graphile_worker')";
    let dump: String = sqlx::query_scalar(dump).fetch_one(app.db.pool()).await.unwrap();

    assert!(dump.contains(&owner.email), "the dump is not empty");
    for secret in secrets {
        assert!(!dump.contains(secret), "{secret} is readable in the database");
    }
    assert!(!last_link(&app, &owner.email).is_empty());
}
