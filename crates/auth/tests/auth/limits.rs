use chrono::TimeDelta;
use rate_limit::Switch;
use serde_json::json;
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{ADA, ask_for_reset, execute, mails};

/// The product with limits on, behind one proxy, so that a test has as many addresses as it likes.
async fn limited() -> TestApp {
    TestApp::start_with(|settings| {
        settings.rate_limit.rate_limits = Switch::On;
        settings.trusted_proxies = 1;
    })
    .await
}

fn from(app: &TestApp, ip: &str) -> Client {
    app.anonymous().header("x-forwarded-for", ip)
}

async fn seed(app: &TestApp) {
    let new = auth::Registration {
        email: ADA.parse().unwrap(),
        name: auth::Name::new("Ada").unwrap(),
        password: PASSWORD.into(),
    };
    app.auth.register_verified(&new).await.unwrap();
}

async fn attempt(client: &Client, email: &str, password: &str) -> Reply {
    client.post("/v1/sessions", json!({ "email": email, "password": password })).await
}

#[tokio::test]
async fn the_sixth_attempt_at_an_account_from_one_address_waits_right_or_wrong() {
    let app = limited().await;
    seed(&app).await;
    let client = from(&app, "192.0.2.1");
    for _ in 0..5 {
        assert_eq!(attempt(&client, ADA, "not the right one").await.status, 401);
    }

    let wrong = attempt(&client, ADA, "not the right one").await;
    let right = attempt(&client, ADA, PASSWORD).await;
    assert_eq!((wrong.status.as_u16(), right.status.as_u16()), (429, 429));
    assert!(right.header("retry-after").is_some());

    app.advance(TimeDelta::minutes(1));
    assert_eq!(attempt(&from(&app, "192.0.2.2"), ADA, PASSWORD).await.status, 201);
}

#[tokio::test]
async fn many_accounts_from_one_network_are_stuffing() {
    let app = limited().await;
    for n in 0..10 {
        let client = from(&app, &format!("2001:db8::{n}"));
        assert_eq!(
            attempt(&client, &format!("u{n}@example.com"), "whatever it was").await.status,
            401
        );
    }

    let client = from(&app, "2001:db8::ffff").header("cf-connecting-ip", "192.0.2.9");
    let reply = attempt(&client, "u10@example.com", "whatever it was").await;
    assert_eq!(reply.problem(), (429, "rate_limited".into()));
}

#[tokio::test]
async fn a_header_that_anybody_can_send_is_no_way_around_a_limit() {
    let app = TestApp::start_with(|settings| settings.rate_limit.rate_limits = Switch::On).await;
    let guess = async |client: Client, n: usize| {
        attempt(&client, &format!("u{n}@example.com"), "whatever it was").await.status.as_u16()
    };
    for n in 0..10 {
        assert_eq!(guess(app.anonymous(), n).await, 401);
    }
    for (n, header) in
        ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip"]
            .into_iter()
            .enumerate()
    {
        assert_eq!(guess(app.anonymous().header(header, "1.2.3.4"), 20 + n).await, 429, "{header}");
    }
    let forwarded = app.anonymous().header("forwarded", "for=1.2.3.4");
    assert_eq!(guess(forwarded, 30).await, 429);
}

#[tokio::test]
async fn attempts_at_other_instances_count_here() {
    let app = limited().await;
    let client = from(&app, "192.0.2.1");
    assert_eq!(attempt(&client, ADA, "not the right one").await.status, 401);

    // What nine more attempts elsewhere leave behind.
    let elsewhere = "update rate_limits
                     set theoretical_arrival_time = theoretical_arrival_time + interval '54 s'
                     where key = 'auth:192.0.2.1'";
    execute(&app, elsewhere).await;

    let reply = attempt(&client, "other@example.com", "not the right one").await;
    assert_eq!(reply.problem(), (429, "rate_limited".into()));
}

#[tokio::test]
async fn guessing_one_account_from_many_networks_stops_and_a_new_password_lets_its_owner_in() {
    let app = limited().await;
    seed(&app).await;
    for n in 0..10 {
        let client = from(&app, &format!("192.0.2.{n}"));
        assert_eq!(attempt(&client, ADA, "not the right one").await.status, 401);
    }
    let owner = from(&app, "198.51.100.7");
    assert_eq!(attempt(&owner, ADA, PASSWORD).await.status, 429);

    let link = ask_for_reset(&app, ADA).await;
    let new = "an entirely different phrase";
    assert_eq!(owner.post(&link, json!({ "password": new })).await.status, 204);

    assert_eq!(attempt(&owner, ADA, new).await.status, 201);
}

/// Ten guesses from as many networks.
async fn guess_from_everywhere(app: &TestApp, email: &str) {
    for n in 0..10 {
        let client = from(app, &format!("192.0.2.{n}"));
        assert_eq!(attempt(&client, email, "not the right one").await.status, 401);
    }
}

#[tokio::test]
async fn strangers_who_guess_keep_nobody_from_where_they_always_sign_in() {
    let app = limited().await;
    seed(&app).await;
    let home = from(&app, "198.51.100.7");
    let session = attempt(&home, ADA, PASSWORD).await.ok();
    let signed_in = home.with_key(session["access_token"].as_str().unwrap());
    app.advance(TimeDelta::minutes(5));

    guess_from_everywhere(&app, ADA).await;

    let elsewhere = from(&app, "203.0.113.1");
    assert_eq!(attempt(&elsewhere, ADA, PASSWORD).await.problem(), (429, "rate_limited".into()));
    signed_in.get("/v1/me").await.ok();
    assert_eq!(attempt(&home, ADA, PASSWORD).await.status, 201);
    // And a code by mail works from anywhere.
    let asked = elsewhere.post("/v1/magic-links", json!({ "email": ADA })).await;
    app.run_jobs().await;
    let code = crate::link_in(&app, ADA, "sign-in code");
    let code = code.rsplit('/').next().unwrap();
    let proof = json!({ "challenge": asked.body["challenge"], "code": code });
    assert_eq!(elsewhere.post("/v1/sessions/magic-link", proof).await.status, 201);
}

#[tokio::test]
async fn whoever_waits_waits_alike_with_a_right_and_a_wrong_password_and_without_an_account() {
    let app = limited().await;
    seed(&app).await;
    guess_from_everywhere(&app, ADA).await;
    guess_from_everywhere(&app, "nobody@example.com").await;

    let ask = |email: &'static str, password: &'static str, ip: &'static str| {
        let client = from(&app, ip);
        async move {
            let reply = attempt(&client, email, password).await;
            (reply.status.as_u16(), reply.header("retry-after").map(str::to_owned))
        }
    };
    let wrong = ask(ADA, "not the right one", "203.0.113.1").await;
    assert_eq!(wrong, (429, Some("30".to_owned())));
    assert_eq!(ask(ADA, PASSWORD, "203.0.113.2").await, wrong);
    assert_eq!(ask("nobody@example.com", PASSWORD, "203.0.113.3").await, wrong);
}

#[tokio::test]
async fn each_further_guess_waits_longer_up_to_an_hour_and_a_right_one_ends_it() {
    let app = limited().await;
    seed(&app).await;
    guess_from_everywhere(&app, ADA).await;

    let mut waits = Vec::new();
    for n in 0..9 {
        let client = from(&app, &format!("203.0.113.{n}"));
        let refused = attempt(&client, ADA, PASSWORD).await;
        let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
        waits.push(wait);
        app.advance(TimeDelta::seconds(wait));
        assert_eq!(attempt(&client, ADA, "not the right one").await.status, 401);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);

    app.advance(TimeDelta::hours(1));
    let stranger = from(&app, "203.0.113.99");
    assert_eq!(attempt(&stranger, ADA, PASSWORD).await.status, 201);
    guess_from_everywhere(&app, ADA).await;
}

#[tokio::test]
async fn the_owner_is_told_once_that_somebody_guesses_and_a_stranger_is_not_told_who_has_an_account()
 {
    let app = limited().await;
    seed(&app).await;
    for email in [ADA, "nobody@example.com"] {
        guess_from_everywhere(&app, email).await;
    }
    app.run_jobs().await;
    assert_eq!(mails(&app, "security_notice").await, 1);

    app.advance(TimeDelta::hours(2));
    from(&app, "203.0.113.1")
        .post("/v1/sessions", json!({ "email": ADA, "password": PASSWORD }))
        .await
        .ok();
    guess_from_everywhere(&app, ADA).await;
    app.run_jobs().await;
    assert_eq!(mails(&app, "security_notice").await, 1);
}

#[tokio::test]
async fn forty_guesses_at_once_are_no_more_than_ten() {
    let app = limited().await;
    seed(&app).await;
    let guesses = (0..40).map(|n| {
        let client = from(&app, &format!("192.0.{n}.1"));
        async move { attempt(&client, ADA, "not the right one").await.status.as_u16() }
    });
    let answers = futures::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 10, "{answers:?}");
}

#[tokio::test]
async fn guessing_links_stops_at_the_sixth() {
    let app = limited().await;
    let client = from(&app, "192.0.2.1");
    let guess = || client.post("/v1/password-resets/guess", json!({ "password": PASSWORD }));
    for _ in 0..5 {
        assert_eq!(guess().await.status, 400);
    }
    assert_eq!(guess().await.problem(), (429, "rate_limited".into()));
}

#[tokio::test]
async fn a_hundred_requests_for_a_mail_in_an_hour_send_a_few() {
    let app = limited().await;
    seed(&app).await;
    for n in 0..100 {
        let client = from(&app, &format!("10.0.{n}.1"));
        let reply = client.post("/v1/password-resets", json!({ "email": ADA })).await;
        assert_eq!(reply.status, 202);
        app.run_jobs().await;
        app.advance(TimeDelta::seconds(30));
    }
    let sent = mails(&app, "password_reset").await;
    assert!((5..=10).contains(&sent), "{sent}");
}

#[tokio::test]
async fn registering_a_taken_address_over_and_over_keeps_nobody_from_a_new_password() {
    let app = limited().await;
    seed(&app).await;
    let body = json!({ "email": ADA, "password": PASSWORD, "name": "Mallory" });
    for n in 0..20 {
        from(&app, &format!("10.0.{n}.1")).post("/v1/users", body.clone()).await;
    }
    app.run_jobs().await;
    assert_eq!(mails(&app, "already_registered").await, 1);

    let link = ask_for_reset(&app, ADA).await;
    assert!(link.starts_with("/v1/password-resets/"), "{link}");
}

#[tokio::test]
async fn the_limits_know_no_address_by_name() {
    let app = limited().await;
    attempt(&from(&app, "192.0.2.1"), ADA, "not the right one").await;

    let keys: Vec<String> =
        sqlx::query_scalar("select key from rate_limits").fetch_all(app.db.pool()).await.unwrap();
    assert!(!keys.is_empty());
    assert!(keys.iter().all(|key| !key.contains("ada") && !key.contains("example")), "{keys:?}");
}
