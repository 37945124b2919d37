use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use testing::{PASSWORD, TestApp};

use crate::{count, execute, refresh};

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().expect("a token")
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_pair_of_the_same_session() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let first = refresh(&app, owner.refresh_token.as_ref().unwrap()).await.ok();
    let second = refresh(&app, text(&first, "refresh_token")).await.ok();

    assert_eq!(first["session_id"], second["session_id"]);
    assert_eq!((&first["token_type"], &first["expires_in"]), (&"Bearer".into(), &900.into()));
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    owner.with_key(text(&second, "access_token")).get("/v1/me").await.ok();
}

#[tokio::test]
async fn eight_tabs_that_refresh_at_once_get_the_same_successor() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.as_ref().unwrap();

    let replies = join_all((0..8).map(|_| refresh(&app, token))).await;

    let pairs: Vec<Value> = replies.into_iter().map(testing::Reply::ok).collect();
    assert!(pairs.iter().all(|pair| pair["refresh_token"] == pairs[0]["refresh_token"]));
    refresh(&app, text(&pairs[0], "refresh_token")).await.ok();
    assert_eq!(count(&app, "select count(*) from refresh_tokens").await, 3);
}

#[tokio::test]
async fn an_answer_that_got_lost_is_replaced_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.as_ref().unwrap();

    refresh(&app, token).await.ok();
    app.advance(TimeDelta::minutes(5));
    let second = refresh(&app, token).await.ok();
    app.advance(TimeDelta::seconds(5));
    // Eight tabs may have waited for the answer that got lost.
    let again = refresh(&app, token).await.ok();
    assert_eq!(second["refresh_token"], again["refresh_token"]);

    refresh(&app, text(&second, "refresh_token")).await.ok();
    app.advance(TimeDelta::minutes(5));
    assert_eq!(refresh(&app, token).await.problem(), (401, "refresh_token_reused".into()));
}

#[tokio::test]
async fn an_answer_that_gets_lost_twice_ends_the_session() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.as_ref().unwrap();
    for _ in 0..2 {
        refresh(&app, token).await.ok();
        app.advance(TimeDelta::minutes(5));
    }
    assert_eq!(refresh(&app, token).await.problem(), (401, "refresh_token_reused".into()));
}

#[tokio::test]
async fn two_holders_who_refresh_in_turn_are_found_out() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let stolen = owner.refresh_token.as_ref().unwrap();

    // Neither uses the successor before the other asks for it.
    let ours = refresh(&app, stolen).await.ok();
    app.advance(TimeDelta::minutes(1));
    let theirs = refresh(&app, stolen).await.ok();
    app.advance(TimeDelta::minutes(14));

    let reused = refresh(&app, text(&ours, "refresh_token")).await;
    assert_eq!(reused.problem(), (401, "refresh_token_reused".into()));
    let ended = refresh(&app, text(&theirs, "refresh_token")).await;
    assert_eq!(ended.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn sessions_are_listed_with_where_and_when() {
    let app = TestApp::start_with(|settings| settings.trusted_proxies = 1).await;
    let owner = app.owner().await;
    let phone =
        app.anonymous().header("user-agent", "Phone/1.0").header("x-forwarded-for", "203.0.113.7");
    let credentials = json!({ "email": owner.email, "password": PASSWORD });
    app.advance(TimeDelta::minutes(5));
    let session = phone.post("/v1/sessions", credentials).await.ok();

    let list = owner.get("/v1/sessions").await.ok();
    let list = list["items"].as_array().unwrap();

    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["id"], session["session_id"]);
    assert_eq!(
        (&list[0]["user_agent"], &list[0]["ip"]),
        (&json!("Phone/1.0"), &json!("203.0.113.7"))
    );
    assert_eq!((&list[0]["current"], &list[1]["current"]), (&json!(false), &json!(true)));
    assert!(list[0]["last_seen_at"].as_str() > list[1]["last_seen_at"].as_str());
    assert!(app.owner().await.get("/v1/sessions").await.ok()["items"][1].is_null());
}

#[tokio::test]
async fn a_session_is_ended_from_another_and_nobody_ends_a_strangers() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let second = crate::sign_in(&app, &owner.email, PASSWORD).await.ok();
    let other = owner.with_key(text(&second, "access_token"));
    let path = format!("/v1/sessions/{}", text(&second, "session_id"));

    let not_theirs = stranger.delete(&path).await;
    assert_eq!(not_theirs.problem(), (404, "session_not_found".into()));
    other.get("/v1/me").await.ok();
    owner.delete(&path).await.ok();

    assert_eq!(other.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    owner.get("/v1/me").await.ok();
    assert_eq!(owner.delete(&path).await.status, 404);
}

#[tokio::test]
async fn everywhere_else_and_everywhere_are_ended_at_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let second = crate::sign_in(&app, &owner.email, PASSWORD).await.ok();
    let other = owner.with_key(text(&second, "access_token"));

    owner.delete("/v1/sessions?but_this=true").await.ok();
    assert_eq!(other.get("/v1/me").await.status, 401);
    owner.get("/v1/me").await.ok();

    owner.delete("/v1/sessions").await.ok();
    assert_eq!(owner.get("/v1/me").await.status, 401);
}

#[tokio::test]
async fn how_long_sessions_last_is_a_setting() {
    let app = TestApp::start_with(|settings| {
        settings.auth.sessions.session_idle_days = 1;
        settings.auth.sessions.session_max_days = 2;
    })
    .await;
    let mut token = app.owner().await.refresh_token.unwrap();
    for _ in 0..2 {
        app.advance(TimeDelta::hours(23));
        token = text(&refresh(&app, &token).await.ok(), "refresh_token").to_owned();
    }
    app.advance(TimeDelta::hours(2));
    assert_eq!(refresh(&app, &token).await.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn a_token_gives_its_successor_again_for_ten_seconds_even_when_that_was_used() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.as_ref().unwrap();
    let first = refresh(&app, token).await.ok();
    refresh(&app, text(&first, "refresh_token")).await.ok();

    app.advance(TimeDelta::seconds(10));

    let repeated = refresh(&app, token).await.ok();
    assert_eq!(repeated["refresh_token"], first["refresh_token"]);
}

#[tokio::test]
async fn a_token_used_again_after_its_successor_ends_the_session() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.as_ref().unwrap();
    let first = refresh(&app, token).await.ok();
    let second = refresh(&app, text(&first, "refresh_token")).await.ok();

    app.advance(TimeDelta::seconds(11));

    assert_eq!(refresh(&app, token).await.problem(), (401, "refresh_token_reused".into()));
    let newest = refresh(&app, text(&second, "refresh_token")).await;
    assert_eq!(newest.problem(), (401, "invalid_refresh_token".into()));
    let access = owner.with_key(text(&second, "access_token")).get("/v1/me").await;
    assert_eq!(access.problem(), (401, "invalid_token".into()));
    let anew = crate::sign_in(&app, &owner.email, PASSWORD).await.ok();
    let anew = owner.with_key(text(&anew, "access_token"));
    let log = anew.get("/v1/audit-log?action=session.refresh_token_reused").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    assert_eq!(log["items"][0]["actor_id"], json!(owner.user()));
}

/// As it is on an instance that has not been told yet of the secret that others have.
#[tokio::test]
async fn a_successor_made_with_a_secret_that_we_have_not_is_no_reuse() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.as_ref().unwrap();
    let pair = refresh(&app, token).await.ok();
    execute(&app, "update refresh_tokens set hash = sha256(hash) where replaced_at is null").await;

    let unknown = refresh(&app, token).await;

    assert_eq!(unknown.problem(), (401, "invalid_refresh_token".into()));
    let client = owner.with_key(text(&pair, "access_token"));
    client.get("/v1/me").await.ok();
    let log = client.get("/v1/audit-log?action=session.refresh_token_reused").await.ok();
    assert_eq!(log["items"], json!([]));
}

#[tokio::test]
async fn one_persons_reuse_leaves_other_sessions_alone() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let token = owner.refresh_token.as_ref().unwrap();
    let first = refresh(&app, token).await.ok();
    refresh(&app, text(&first, "refresh_token")).await.ok();
    app.advance(TimeDelta::seconds(11));
    refresh(&app, token).await.problem();

    other.get("/v1/me").await.ok();
    refresh(&app, other.refresh_token.as_ref().unwrap()).await.ok();
}

#[tokio::test]
async fn signing_out_ends_all_tokens_of_the_session_at_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    owner.get("/v1/me").await.ok();

    assert_eq!(owner.delete("/v1/sessions/current").await.status, 204);

    assert_eq!(owner.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    let refreshed = refresh(&app, owner.refresh_token.as_ref().unwrap()).await;
    assert_eq!(refreshed.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn an_access_token_lives_a_quarter_of_an_hour() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    app.advance(TimeDelta::minutes(15) - TimeDelta::seconds(1));
    owner.get("/v1/me").await.ok();
    app.advance(TimeDelta::seconds(1));

    assert_eq!(owner.get("/v1/me").await.problem(), (401, "invalid_token".into()));
}

#[tokio::test]
async fn a_session_ends_when_idle_for_a_month() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    app.advance(TimeDelta::days(29));
    let pair = refresh(&app, owner.refresh_token.as_ref().unwrap()).await.ok();
    app.advance(TimeDelta::days(30));

    let late = refresh(&app, text(&pair, "refresh_token")).await;
    assert_eq!(late.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn a_session_ends_after_ninety_days_however_busy_it_is() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut token = owner.refresh_token.clone().unwrap();
    for _ in 0..4 {
        app.advance(TimeDelta::days(22));
        token = text(&refresh(&app, &token).await.ok(), "refresh_token").to_owned();
    }

    app.advance(TimeDelta::days(2));

    assert_eq!(refresh(&app, &token).await.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn a_session_that_is_too_old_ends_in_the_midst_of_its_use() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut token = owner.refresh_token.clone().unwrap();
    let mut last = Value::Null;
    for days in [22, 22, 22, 22, 1] {
        app.advance(TimeDelta::days(days));
        last = refresh(&app, &token).await.ok();
        text(&last, "refresh_token").clone_into(&mut token);
    }
    app.advance(TimeDelta::hours(23) + TimeDelta::minutes(50));
    let last = refresh(&app, text(&last, "refresh_token")).await.ok();
    let client = owner.with_key(text(&last, "access_token"));
    app.advance(TimeDelta::minutes(9));
    client.get("/v1/me").await.ok();

    app.advance(TimeDelta::minutes(1));

    assert_eq!(client.get("/v1/me").await.problem(), (401, "invalid_token".into()));
}

/// Everything that somebody can hold, used for everything that it is not for.
#[tokio::test]
async fn a_token_is_good_for_what_it_was_made_for_and_nothing_else() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "a" })).await.ok();
    let reset = crate::ask_for_reset(&app, &owner.email).await;
    let magic = json!({ "email": owner.email });
    let magic = app.anonymous().post("/v1/magic-links", magic).await.body;
    let access = owner.token.clone().unwrap();
    let (operator, refresh_token) = (app.operator().await, owner.refresh_token.clone().unwrap());
    let (stand_in, _) = crate::impersonation::stand_in(&app, &operator, &owner).await;
    let (key, operator) = (text(&key, "secret").to_owned(), operator.token.unwrap());
    let (reset, magic) = (reset.rsplit('/').next().unwrap(), text(&magic, "challenge"));
    let all = [
        (access.as_str(), "access"),
        (&refresh_token, "refresh"),
        (&key, "key"),
        (reset, "reset"),
        (magic, "magic"),
        (&operator, "operator"),
        (stand_in.token.as_ref().unwrap(), "stand-in"),
    ];
    for (token, kind) in all {
        let (client, new) = (app.anonymous(), json!({ "password": "an entirely new phrase" }));
        let bearer = client.with_key(token);
        let code = json!({ "challenge": token, "code": "123456" });
        let uses = [
            (bearer.get("/v1/me").await, &["access", "key", "stand-in"][..]),
            (bearer.get("/admin/v1/invariants").await, &["operator"]),
            (client.header("x-api-key", token).get("/v1/me").await, &["access", "key", "stand-in"]),
            (refresh(&app, token).await, &["refresh"]),
            (client.post(&format!("/v1/email-verifications/{token}"), new.clone()).await, &[]),
            (client.post(&format!("/v1/email-changes/{token}"), json!({})).await, &[]),
            (client.post(&format!("/v1/email-change-reversals/{token}"), json!({})).await, &[]),
            (client.post(&format!("/v1/invitation-links/{token}"), json!({})).await, &[]),
            (client.post("/v1/sessions/second-factor", code.clone()).await, &[]),
            (client.post("/v1/sessions/magic-link", code).await, &[]),
            (client.post(&format!("/v1/password-resets/{token}"), new).await, &["reset"]),
        ];
        for (n, (reply, good)) in uses.into_iter().enumerate() {
            let done = reply.status.is_success();
            assert_eq!(done, good.contains(&kind), "{kind}, use {n}: {reply:?}");
            assert!(done || reply.status.is_client_error(), "{kind}, use {n}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_disabled_account_cannot_refresh() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    execute(&app, "update users set disabled_at = now()").await;

    let refreshed = refresh(&app, owner.refresh_token.as_ref().unwrap()).await;
    assert_eq!(refreshed.problem(), (401, "invalid_refresh_token".into()));
}

#[tokio::test]
async fn what_is_dead_for_a_month_is_deleted_and_what_lives_stays() {
    let app = TestApp::start().await;
    let (gone, active) = (app.owner().await, app.owner().await);
    gone.delete("/v1/sessions/current").await.ok();
    let mut token = active.refresh_token.clone().unwrap();
    for _ in 0..2 {
        app.advance(TimeDelta::days(20));
        token = text(&refresh(&app, &token).await.ok(), "refresh_token").to_owned();
    }

    let purge = "select from graphile_worker.add_job(
                     'auth.purge_sessions', json_build_object('job', json_build_object()))";
    execute(&app, purge).await;
    app.run_jobs().await;

    assert_eq!(count(&app, "select count(*) from sessions").await, 1);
    refresh(&app, &token).await.ok();
}
