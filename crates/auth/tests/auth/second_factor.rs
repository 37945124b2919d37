use chrono::TimeDelta;
use rate_limit::Switch;
use serde_json::{Value, json};
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{ask_for_reset, count, mails, sign_in, turn_on_second_factor};

/// The first factor: what the second is sent with.
async fn first(app: &TestApp, client: &Client, password: &str) -> Value {
    let reply = sign_in(app, &client.email, password).await;
    let challenge = reply.body["challenge"].clone();
    assert_eq!(reply.problem(), (401, "second_factor_required".into()));
    challenge
}

async fn second(app: &TestApp, challenge: &Value, code: &str) -> Reply {
    let proof = json!({ "challenge": challenge, "code": code });
    app.anonymous().post("/v1/sessions/second-factor", proof).await
}

#[tokio::test]
async fn signing_in_takes_both_factors_once_the_second_is_on() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, codes) = turn_on_second_factor(&app, &owner).await;
    assert_eq!(codes.len(), 10);

    let challenge = first(&app, &owner, PASSWORD).await;
    let wrong = second(&app, &challenge, "000000").await;
    assert_eq!(wrong.problem(), (401, "wrong_code".into()));
    let session = second(&app, &challenge, &app.totp_code(&totp)).await.ok();

    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    client.get("/v1/me").await.ok();
    let used = second(&app, &challenge, &app.totp_code(&totp)).await;
    assert_eq!(used.problem(), (401, "invalid_challenge".into()));
}

#[tokio::test]
async fn the_first_factor_alone_opens_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    turn_on_second_factor(&app, &owner).await;
    let challenge = first(&app, &owner, PASSWORD).await;
    let half = app.anonymous().with_key(challenge.as_str().unwrap());

    for path in ["/v1/me", "/v1/sessions", "/v1/projects", "/v1/me/second-factor"] {
        assert_eq!(half.get(path).await.problem(), (401, "invalid_token".into()), "{path}");
    }
    let refreshed = crate::refresh(&app, challenge.as_str().unwrap()).await;
    assert_eq!(refreshed.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn a_code_works_once_even_at_the_same_time() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let older = app.totp_code(&totp);
    app.advance(TimeDelta::seconds(30));
    let code = app.totp_code(&totp);
    let (one, other) = (first(&app, &owner, PASSWORD).await, first(&app, &owner, PASSWORD).await);

    let (one, two) = tokio::join!(second(&app, &one, &code), second(&app, &other, &code));
    assert_eq!(usize::from(one.status == 201) + usize::from(two.status == 201), 1);
    let again = first(&app, &owner, PASSWORD).await;
    assert_eq!(second(&app, &again, &older).await.problem(), (401, "wrong_code".into()));
}

#[tokio::test]
async fn a_recovery_code_lets_its_owner_in_once_and_nobody_else() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.owner().await, app.owner().await);
    let (_, codes) = turn_on_second_factor(&app, &ada).await;
    turn_on_second_factor(&app, &bob).await;

    let theirs = first(&app, &bob, PASSWORD).await;
    assert_eq!(second(&app, &theirs, &codes[0]).await.problem(), (401, "wrong_code".into()));
    let (one, other) = (first(&app, &ada, PASSWORD).await, first(&app, &ada, PASSWORD).await);
    let (one, two) = tokio::join!(second(&app, &one, &codes[0]), second(&app, &other, &codes[0]));
    assert_eq!(usize::from(one.status == 201) + usize::from(two.status == 201), 1);
    let spent = "select count(*) from recovery_codes where used_at is not null";
    assert_eq!(count(&app, spent).await, 1);
}

#[tokio::test]
async fn new_recovery_codes_replace_the_old_ones() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (_, old) = turn_on_second_factor(&app, &owner).await;
    let new = owner.post("/v1/me/recovery-codes", json!({})).await.ok();

    let challenge = first(&app, &owner, PASSWORD).await;
    assert_eq!(second(&app, &challenge, &old[0]).await.status, 401);
    let code = new["recovery_codes"][0].as_str().unwrap();
    assert_eq!(second(&app, &challenge, code).await.status, 201);
    assert_eq!(owner.get("/v1/me/second-factor").await.ok()["recovery_codes_left"], 9);
}

#[tokio::test]
async fn five_wrong_codes_end_the_attempt_and_right_passwords_do_not_begin_the_count_anew() {
    let app = TestApp::start_with(|settings| {
        settings.rate_limit.rate_limits = Switch::On;
        settings.trusted_proxies = 1;
    })
    .await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    app.advance(TimeDelta::minutes(2));
    // Each request comes from elsewhere, so that only the account counts.
    let from = |n: u8| app.anonymous().header("x-forwarded-for", &format!("192.0.2.{n}"));
    let first = |n: u8| {
        let client = from(n);
        let credentials = json!({ "email": owner.email, "password": PASSWORD });
        async move { client.post("/v1/sessions", credentials).await.body["challenge"].clone() }
    };
    let second = |n: u8, challenge: &Value, code: &str| {
        let (client, proof) = (from(n), json!({ "challenge": challenge, "code": code }));
        async move { client.post("/v1/sessions/second-factor", proof).await }
    };
    let challenge = first(1).await;
    for n in 2..6 {
        assert_eq!(second(n, &challenge, "000000").await.status, 401);
    }
    let next = first(6).await;
    assert_eq!(second(7, &next, "000000").await.status, 401);

    let right = second(8, &next, &app.totp_code(&totp)).await;
    assert_eq!(right.problem(), (429, "rate_limited".into()));
    app.advance(TimeDelta::minutes(2));
    assert_eq!(second(9, &next, &app.totp_code(&totp)).await.status, 201);
}

#[tokio::test]
async fn a_challenge_takes_five_codes_and_lives_ten_minutes() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let challenge = first(&app, &owner, PASSWORD).await;
    for _ in 0..5 {
        second(&app, &challenge, "000000").await;
    }
    let dead = (401, "invalid_challenge".to_owned());
    assert_eq!(second(&app, &challenge, &app.totp_code(&totp)).await.problem(), dead);

    let challenge = first(&app, &owner, PASSWORD).await;
    app.advance(TimeDelta::minutes(10));
    assert_eq!(second(&app, &challenge, &app.totp_code(&totp)).await.problem(), dead);
}

#[tokio::test]
async fn a_new_password_by_mail_does_not_get_around_the_second_factor() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let half = first(&app, &owner, PASSWORD).await;
    let new = "an entirely different phrase";
    let link = ask_for_reset(&app, &owner.email).await;
    app.anonymous().post(&link, json!({ "password": new })).await.ok();

    let with_the_old_one = second(&app, &half, &app.totp_code(&totp)).await;
    assert_eq!(with_the_old_one.problem(), (401, "invalid_challenge".into()));

    let challenge = first(&app, &owner, new).await;
    assert_eq!(second(&app, &challenge, &app.totp_code(&totp)).await.status, 201);
}

#[tokio::test]
async fn it_is_off_until_a_code_has_proved_that_the_authenticator_works() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let other = sign_in(&app, &owner.email, PASSWORD).await.ok();
    let other = owner.with_key(other["access_token"].as_str().unwrap());
    owner.post("/v1/me/second-factor", json!({})).await.ok();
    let wrong = owner.post("/v1/me/second-factor/proof", json!({ "code": "000000" })).await;
    assert_eq!(wrong.problem(), (400, "invalid_code".into()));
    assert_eq!(owner.get("/v1/me/second-factor").await.ok()["on"], false);
    assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 201);

    turn_on_second_factor(&app, &owner).await;

    assert_eq!(owner.get("/v1/me/second-factor").await.ok()["on"], true);
    owner.get("/v1/me").await.ok();
    assert_eq!(other.get("/v1/me").await.status, 401, "it came in without");
    let twice = owner.post("/v1/me/second-factor", json!({})).await;
    assert_eq!(twice.problem(), (409, "second_factor_is_on".into()));
    assert_eq!(mails(&app, "security_notice").await, 1);
}

#[tokio::test]
async fn turning_it_off_takes_a_code_tells_the_owner_and_ends_other_sessions() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let challenge = first(&app, &owner, PASSWORD).await;
    let other = second(&app, &challenge, &app.totp_code(&totp)).await.ok();
    let other = owner.with_key(other["access_token"].as_str().unwrap());
    app.advance(TimeDelta::seconds(30));

    let remove = |code: String| {
        let owner = owner.clone();
        async move { owner.post("/v1/me/second-factor/removal", json!({ "code": code })).await }
    };
    assert_eq!(remove("000000".into()).await.problem(), (401, "wrong_code".into()));
    assert_eq!(remove(app.totp_code(&totp)).await.status, 204);

    assert_eq!(other.get("/v1/me").await.status, 401);
    assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 201);
    assert_eq!(mails(&app, "security_notice").await, 2);
    assert_eq!(count(&app, "select count(*) from recovery_codes").await, 0);
}

#[tokio::test]
async fn an_operator_who_turns_it_off_is_written_down_and_the_owner_told() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    turn_on_second_factor(&app, &owner).await;
    let path = format!("/admin/v1/users/{}/second-factor-reset", owner.user());
    assert_eq!(owner.post(&path, json!({})).await.status, 403);

    assert_eq!(app.operator().await.post(&path, json!({})).await.status, 204);

    assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 201);
    assert_eq!(mails(&app, "security_notice").await, 2);
    let written = "select count(*) from audit_events
                   where action = 'second_factor.reset' and actor_kind = 'operator'";
    assert_eq!(count(&app, written).await, 1);
}

#[tokio::test]
async fn what_a_former_secret_sealed_is_sealed_anew_and_goes_on_working() {
    let app = TestApp::start().await;
    let (owner, _operator) = (app.owner().await, app.operator().await);
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    let former = app.settings.auth.clone();
    let next: secrecy::SecretString = "a new secret of more than thirty-two bytes".into();
    let reseal = async |current, previous| {
        let mut config = former.clone();
        (config.auth_secret, config.auth_secret_previous) = (current, previous);
        let auth::Resealed { resealed, current, lost } =
            auth::reseal(app.db.pool(), &config).await.unwrap();
        (resealed, current, lost)
    };
    let (old, new) = (former.auth_secret.clone(), Some(next));

    assert_eq!(reseal(new.clone(), None).await, (0, 0, 2), "nothing is lost by trying");
    assert_eq!(reseal(new.clone(), old.clone()).await, (2, 0, 0));
    assert_eq!(reseal(new.clone(), None).await, (0, 2, 0), "the former one is not needed any more");
    assert_eq!(reseal(old, new).await, (2, 0, 0));

    let challenge = first(&app, &owner, PASSWORD).await;
    second(&app, &challenge, &app.totp_code(&totp)).await.ok();
}
