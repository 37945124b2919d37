use futures::future::join_all;
use rate_limit::Switch;
use serde_json::json;
use testing::{PASSWORD, TestApp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{ADA, count, last_link, mails, proof, register, registration, sign_in, verified};

#[tokio::test]
async fn registering_leads_to_a_mail_whose_link_leads_in() {
    let app = TestApp::start().await;

    let link = register(&app, ADA).await;
    assert_eq!(sign_in(&app, ADA, PASSWORD).await.problem(), (401, "invalid_credentials".into()));
    let verified = app.anonymous().post(&link, proof()).await.ok();
    assert_eq!(verified, json!({ "email": ADA }));
    app.run_jobs().await;

    let session = sign_in(&app, ADA, PASSWORD).await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    let me = client.get("/v1/me").await.ok();
    assert_eq!(me["user"]["email"], ADA);
    assert_eq!((&me["user"]["name"], &me["role"]), (&json!("Ada Lovelace"), &json!("owner")));
    assert_eq!(
        (&me["org"]["name"], &me["tier"]),
        (&json!("Ada Lovelace's organization"), &json!("free"))
    );
    assert_eq!(mails(&app, "welcome").await, 1);
}

#[tokio::test]
async fn a_mail_scanner_that_opens_the_link_does_not_use_it_up() {
    let app = TestApp::start().await;
    let link = register(&app, ADA).await;

    for _ in 0..3 {
        let page = app.anonymous().get(&link).await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.ok_text().contains("<form method=\"post\">"));
    }
    assert_eq!(count(&app, "select count(*) from users").await, 0);

    app.anonymous().post(&link, proof()).await.ok();
    let again = app.anonymous().post(&link, proof()).await;
    assert_eq!(again.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn browsers_are_answered_with_pages() {
    let app = TestApp::start().await;
    let link = register(&app, ADA).await;
    let browser = app.anonymous().header("accept", "text/html,application/xhtml+xml");

    let confirmed = browser.post(&link, proof()).await;
    assert!(confirmed.ok_text().contains("Address confirmed"));
    let again = browser.post(&link, proof()).await;
    assert_eq!(again.status, 400);
    assert!(again.text.contains("This does not work"));
}

#[tokio::test]
async fn a_verification_link_dies_after_a_day() {
    let app = TestApp::start().await;
    let link = register(&app, ADA).await;

    app.advance(chrono::TimeDelta::hours(24));

    let late = app.anonymous().post(&link, proof()).await;
    assert_eq!(late.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn asking_for_another_link_kills_the_first() {
    let app = TestApp::start().await;
    let first = register(&app, ADA).await;

    let asked = app.anonymous().post("/v1/email-verifications", json!({ "email": ADA })).await;
    assert_eq!(asked.status, 202);
    app.run_jobs().await;
    let second = last_link(&app, ADA);

    let dead = app.anonymous().post(&first, proof()).await;
    assert_eq!(dead.problem(), (400, "invalid_link".into()));
    app.anonymous().post(&second, proof()).await.ok();
}

#[tokio::test]
async fn a_taken_address_answers_like_a_new_one_and_its_owner_is_told() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;

    let taken = app.anonymous().post("/v1/users", registration(ADA)).await;
    let new = app.anonymous().post("/v1/users", registration("new@example.com")).await;

    assert_eq!((taken.status, &taken.text), (new.status, &new.text));
    let names =
        |reply: &testing::Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&taken), names(&new));
    app.run_jobs().await;
    assert_eq!(mails(&app, "already_registered").await, 1);
    assert_eq!(count(&app, "select count(*) from users").await, 1);
    assert_eq!(sign_in(&app, ADA, PASSWORD).await.status, 201);
}

#[tokio::test]
async fn spellings_of_an_address_are_one_account() {
    let app = TestApp::start().await;
    verified(&app, "Ada@X.example").await;

    assert_eq!(sign_in(&app, " aDA@x.EXAMPLE ", PASSWORD).await.status, 201);
    app.anonymous().post("/v1/users", registration("ADA@x.example")).await.ok();
    assert_eq!(count(&app, "select count(*) from users").await, 1);
}

#[tokio::test]
async fn look_alikes_and_header_tricks_are_not_addresses() {
    let app = TestApp::start().await;
    let long = format!("{}@x.example", "a".repeat(300));
    // What each would be taken for is an account.
    for address in ["k@x.example", "i@x.example", "fi@x.example", "user@xn--exmple-cua.org"] {
        verified(&app, address).await;
    }
    let sent = count(&app, "select count(*) from emails").await;
    for address in [
        "a@x.example\r\nBcc: b@y.example",
        "\"a,b\"@x",
        "\u{212A}@x.example",
        "\u{130}@x.example",
        "\u{131}@x.example",
        "\u{fb01}@x.example",
        "k\u{ff20}x.example",
        "user@ex\u{e4}mple.org",
        &long,
    ] {
        let client = app.anonymous();
        for reply in [
            client.post("/v1/users", registration(address)).await,
            client.post("/v1/password-resets", json!({ "email": address })).await,
            client.post("/v1/magic-links", json!({ "email": address })).await,
            sign_in(&app, address, PASSWORD).await,
        ] {
            assert_eq!(reply.problem().0, 422, "{address:?}");
        }
    }
    app.run_jobs().await;
    assert_eq!(count(&app, "select count(*) from emails").await, sent);
}

#[tokio::test]
async fn fifty_registrations_at_once_make_one_account_and_one_mail() {
    let app = TestApp::start().await;
    let client = app.anonymous();

    let replies = join_all((0..50).map(|_| client.post("/v1/users", registration(ADA)))).await;

    assert!(replies.iter().all(|reply| reply.status == 202), "{replies:?}");
    app.run_jobs().await;
    for rows in ["select count(*) from registrations", "select count(*) from emails"] {
        assert_eq!(count(&app, rows).await, 1, "{rows}");
    }
    let link = last_link(&app, ADA);
    let presses = join_all((0..4).map(|_| client.post(&link, proof()))).await;
    assert_eq!(presses.iter().filter(|press| press.status == 200).count(), 1, "{presses:?}");
    for rows in [
        "select count(*) from users",
        "select count(*) from orgs",
        "select count(*) from memberships",
        "select count(*) from entitlements",
    ] {
        assert_eq!(count(&app, rows).await, 1, "{rows}");
    }
    assert_eq!(count(&app, "select count(*) from registrations").await, 0);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn nobody_confirms_a_password_that_somebody_else_chose_for_them() {
    let app = TestApp::start().await;
    let laid = json!({ "email": ADA, "password": "waiting for a victim", "name": "Mallory" });
    app.anonymous().post("/v1/users", laid).await.ok();
    app.run_jobs().await;
    let link = last_link(&app, ADA);

    // Ada has the mail, and any password but the one that Mallory chose.
    let confirmed = app.anonymous().post(&link, proof()).await;
    assert_eq!(confirmed.problem(), (401, "invalid_credentials".into()));
    let browser = app.anonymous().header("accept", "text/html");
    let page = browser.post(&link, proof()).await;
    assert!(page.text.contains("not the password of this registration"), "{page:?}");

    assert_eq!(count(&app, "select count(*) from users").await, 0);
    assert_eq!(sign_in(&app, ADA, "waiting for a victim").await.status, 401);
}

#[tokio::test]
async fn a_registration_takes_five_wrong_passwords() {
    let app = TestApp::start().await;
    let link = register(&app, ADA).await;
    for _ in 0..5 {
        let wrong = json!({ "password": "not the one I chose" });
        assert_eq!(app.anonymous().post(&link, wrong).await.status, 401);
    }
    let late = app.anonymous().post(&link, proof()).await;
    assert_eq!(late.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn each_registration_of_an_address_is_confirmed_with_its_own_password_and_voids_the_others() {
    let app = TestApp::start().await;
    let laid = json!({ "email": ADA, "password": "waiting for a victim", "name": "Mallory" });
    app.anonymous().post("/v1/users", laid).await.ok();
    app.run_jobs().await;
    let theirs = last_link(&app, ADA);
    app.advance(chrono::TimeDelta::minutes(2));
    let ours = register(&app, ADA).await;

    app.anonymous().post(&ours, proof()).await.ok();

    let dead = app.anonymous().post(&theirs, json!({ "password": "waiting for a victim" })).await;
    assert_eq!(dead.problem(), (400, "invalid_link".into()));
    assert_eq!(sign_in(&app, ADA, "waiting for a victim").await.status, 401);
    let session = sign_in(&app, ADA, PASSWORD).await.ok();
    let me = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    assert_eq!(me.get("/v1/me").await.ok()["user"]["name"], "Ada Lovelace");
}

#[tokio::test]
async fn a_stranger_who_registers_an_address_again_and_again_keeps_its_owner_from_nothing() {
    let app = TestApp::start_with(|settings| settings.rate_limit.rate_limits = Switch::On).await;
    let stranger = app.anonymous();
    let laid = json!({ "email": ADA, "password": "waiting for a victim", "name": "Mallory" });
    for _ in 0..7 {
        stranger.post("/v1/users", laid.clone()).await.ok();
        app.run_jobs().await;
        app.advance(chrono::TimeDelta::seconds(61));
    }
    assert_eq!(mails(&app, "verify_email").await, 5, "an hour's mails are used up");
    stranger.post("/v1/users", laid).await.ok();
    app.anonymous().post("/v1/users", registration(ADA)).await.ok();
    app.run_jobs().await;
    assert_eq!(mails(&app, "verify_email").await, 5);
    let link = last_link(&app, ADA);

    let browser = app.anonymous().header("accept", "text/html");
    let weak = json!({ "password": "ada@example.com", "is_new": true });
    let refused = browser.post(&link, weak).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("name=\"is_new\""), "{refused:?}");
    let own = json!({ "password": PASSWORD, "is_new": true, "name": "Ada Lovelace" });
    app.anonymous().post(&link, own.clone()).await.ok();

    let again = app.anonymous().post(&link, own).await;
    assert_eq!(again.problem(), (400, "invalid_link".into()));
    assert_eq!(sign_in(&app, ADA, "waiting for a victim").await.status, 401);
    let session = sign_in(&app, ADA, PASSWORD).await.ok();
    let me = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    let me = me.get("/v1/me").await.ok();
    assert_eq!(me["user"]["name"], "Ada Lovelace");
    assert_eq!(me["org"]["name"], "Ada Lovelace's organization");
    assert_eq!(count(&app, "select count(*) from registrations").await, 0);
}

#[tokio::test]
async fn a_new_password_needs_no_name_and_counts_as_no_guess() {
    let app = TestApp::start().await;
    let link = register(&app, ADA).await;
    for _ in 0..6 {
        let weak = json!({ "password": "too short", "is_new": true, "name": "" });
        assert_eq!(app.anonymous().post(&link, weak).await.problem().0, 422);
    }
    let own = json!({ "password": "an entirely different phrase", "is_new": true, "name": "" });
    app.anonymous().post(&link, own).await.ok();
    let session = sign_in(&app, ADA, "an entirely different phrase").await.ok();
    let me = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    assert_eq!(me.get("/v1/me").await.ok()["user"]["name"], "ada");
}

#[tokio::test]
async fn nobody_registers_with_more_than_they_may() {
    let app = TestApp::start().await;
    for extra in ["role", "is_admin", "email_verified", "email_verified_at", "credits", "org_id"] {
        let mut body = registration(ADA);
        body[extra] = json!(true);
        let reply = app.anonymous().post("/v1/users", body).await;
        assert_eq!(reply.problem(), (422, "invalid_body".into()), "{extra}");
    }
    for name in ["", " ", &"x".repeat(101), "a\nb"] {
        let body = json!({ "email": ADA, "password": PASSWORD, "name": name });
        assert_eq!(app.anonymous().post("/v1/users", body).await.problem().0, 422, "{name:?}");
    }
    assert_eq!(count(&app, "select count(*) from users").await, 0);
}

#[tokio::test]
async fn links_lead_to_our_own_address_whatever_the_request_claims() {
    let app = TestApp::start().await;
    let client = app
        .anonymous()
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example");

    client.post("/v1/users", registration(ADA)).await.ok();
    app.run_jobs().await;

    assert!(last_link(&app, ADA).starts_with("/v1/email-verifications/"));

    for (n, target) in ["/v1/users", "http://evil.example/v1/users"].into_iter().enumerate() {
        let email = format!("ada{n}@example.com");
        let answer = send_raw(&app, target, &registration(&email).to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        app.run_jobs().await;
        assert!(last_link(&app, &email).starts_with("/v1/email-verifications/"));
    }
}

/// Posts to `target` at another host than the one that is connected to.
async fn send_raw(app: &TestApp, target: &str, body: &str) -> String {
    let ours = app.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(ours).await.unwrap();
    let request = format!(
        "POST {target} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn our_pages_lead_nowhere_that_a_request_names() {
    let app = TestApp::start().await;
    let link = register(&app, ADA).await;
    let browser = app.anonymous().header("accept", "text/html");
    for next in ["//evil.example", "\\\\evil.example", "https:evil.example", "javascript:alert(1)"]
    {
        for name in ["next", "redirect_to", "return_to", "url"] {
            let path = format!("{link}?{name}={next}");
            for reply in
                [browser.get(&path).await, browser.post(&path, json!({ "password": "x" })).await]
            {
                assert!(reply.header("location").is_none(), "{path}");
                assert!(!reply.text.contains("evil") && !reply.text.contains("alert(1)"), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_seeded_account_is_made_once() {
    let app = TestApp::start().await;
    let new = auth::Registration {
        email: ADA.parse().unwrap(),
        name: auth::Name::new("Ada").unwrap(),
        password: PASSWORD.into(),
    };

    let first = app.auth.register_verified(&new).await.unwrap();
    let second = app.auth.register_verified(&new).await.unwrap();

    assert_eq!((first.user, first.org), (second.user, second.org));
    assert_eq!(sign_in(&app, ADA, PASSWORD).await.status, 201);
}
