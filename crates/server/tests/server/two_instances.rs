//! Two copies of the program over one Postgres.

use std::net::SocketAddr;

use db::Changes;
use futures::future::join_all;
use quotas::Quotas;
use rate_limit::Switch;
use serde_json::json;
use server::Product;
use testing::{Client, PASSWORD, TestApp, eventually, is_noticed};
use tokio::net::TcpListener;

struct Second {
    url: String,
    changes: Changes,
    quotas: Quotas,
}

/// Another instance over the database of `app`, which hears of changes as the real program does.
async fn second(app: &TestApp) -> Second {
    second_with(app, app.settings.clone()).await
}

/// The same, with settings of its own.
async fn second_with(app: &TestApp, settings: server::Settings) -> Second {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let address = app.database_options();
    let pool = settings.db.pool(address);
    let product = Product::compose(&settings, pool, app.clock.clone()).unwrap();
    let listening = settings.db.listening_pool(app.database_options());
    tokio::spawn(db::listen(product.db.changes().clone(), listening));
    let changes = product.db.changes().clone();
    let quotas = product.quotas.clone();
    let service = product.into_router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Second { url, changes, quotas }
}

fn chat() -> serde_json::Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "hello" }],
        "max_tokens": 10,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_share_the_plans_quota() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let second = second(&app).await;
    let other = owner.at(&second.url);

    let both: Vec<&Client> = [&owner, &other].into_iter().cycle().take(40).collect();
    let replies = join_all(both.iter().map(|it| it.post("/v1/chat/completions", chat()))).await;

    assert_eq!(replies.iter().filter(|it| it.status == 200).count(), 5);
    second.quotas.settled().await;
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_share_the_limit_of_attempts_to_sign_in() {
    let app = TestApp::start_with(|settings| settings.rate_limit.rate_limits = Switch::On).await;
    let email = "victim@example.com";
    let (one, other) = (app.anonymous(), app.anonymous().at(&second(&app).await.url));

    let attempts = [&one, &other].into_iter().cycle().take(16);
    let guess = json!({ "email": email, "password": "wrong horse battery staple" });
    let attempts = attempts.map(|it| it.post("/v1/sessions", guess.clone()));
    let replies = join_all(attempts).await;

    let guessed = replies.iter().filter(|it| it.status == 401).count();
    assert_eq!(guessed, 5, "five a minute per account and address, on both together");
    assert!(replies.iter().all(|it| it.status == 401 || it.status == 429));
}

/// Each step of `docs/identity/secrets.md` while the instances are told one after another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_secret_is_exchanged_on_one_instance_after_another_everybody_stays_signed_in() {
    let secret = |text: &str| Some(text.repeat(32).into());
    let app = TestApp::start_with(|settings| {
        settings.auth.auth_secret = secret("o");
        settings.auth.auth_secret_previous = secret("n");
    })
    .await;
    let mut swapped = app.settings.clone();
    swapped.auth.auth_secret = secret("n");
    swapped.auth.auth_secret_previous = secret("o");
    let second = second_with(&app, swapped).await;
    let owner = app.owner().await;
    let (here, there) = (app.anonymous(), app.anonymous().at(&second.url));
    let keys = here.get("/.well-known/jwks.json").await.ok();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "{keys}");
    let refresh = async |at: &Client, token: &str| {
        let pair = at.post("/v1/tokens", json!({ "refresh_token": token })).await.ok();
        for instance in [&here, &there] {
            let client = instance.with_key(pair["access_token"].as_str().unwrap());
            client.get("/v1/me").await.ok();
        }
        pair["refresh_token"].as_str().unwrap().to_owned()
    };

    let mut token = owner.refresh_token.clone().unwrap();
    for (one, other) in [(&here, &there), (&there, &here)] {
        let first = refresh(one, &token).await;
        assert_eq!(refresh(other, &token).await, first, "another tab, at another instance");
        app.advance(chrono::TimeDelta::minutes(1));
        let second = refresh(other, &token).await;
        assert_ne!(first, second, "its answer was lost");
        token = second;
    }
}

async fn hears(changes: &Changes) {
    eventually("the instance hears of changes", async || changes.are_heard()).await;
}

/// Makes an API key, as `owner`.
async fn key_of(owner: &Client) -> (String, Client) {
    let key = owner.post("/v1/api-keys", json!({ "name": "CI", "scopes": ["*"] })).await.ok();
    let program = owner.with_key(key["secret"].as_str().unwrap());
    (key["id"].as_str().unwrap().to_owned(), program)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_here_is_refused_there_within_a_second() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let Second { url, changes, .. } = second(&app).await;
    hears(&changes).await;
    let (id, program) = key_of(&owner).await;
    let there = program.at(&url);
    there.get("/v1/me").await.ok();
    there.get("/v1/me").await.ok();

    owner.delete(&format!("/v1/api-keys/{id}")).await;

    is_noticed("the key's end", async || there.get("/v1/me").await.status == 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ended_here_is_over_there_within_a_second() {
    let app = TestApp::start().await;
    let Second { url, changes, .. } = second(&app).await;
    hears(&changes).await;
    for how in ["one", "all", "this", "reset", "reuse"] {
        let owner = app.owner().await;
        let credentials = json!({ "email": owner.email, "password": PASSWORD });
        let other = app.anonymous().post("/v1/sessions", credentials).await.ok();
        let text = |name: &str| other[name].as_str().unwrap().to_owned();
        let here = owner.with_key(&text("access_token"));
        let there = here.at(&url);
        there.get("/v1/me").await.ok();

        match how {
            "one" => {
                owner.delete(&format!("/v1/sessions/{}", text("session_id"))).await.ok_text();
            }
            "all" => drop(owner.delete("/v1/sessions").await.ok_text()),
            "this" => drop(here.delete("/v1/sessions/current").await.ok_text()),
            "reset" => reset_password(&app, &owner.email).await,
            _ => use_again(&app, &text("refresh_token")).await,
        }

        is_noticed(how, async || there.get("/v1/me").await.status == 401).await;
    }
}

async fn reset_password(app: &TestApp, email: &str) {
    app.anonymous().post("/v1/password-resets", json!({ "email": email })).await;
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(email);
    let mail = mails.iter().rev().find(|mail| mail.subject.contains("new password")).unwrap();
    let link = mail.links[0].strip_prefix(&app.url).unwrap();
    let new = json!({ "password": "an entirely different phrase" });
    app.anonymous().post(link, new).await.ok_text();
}

/// A refresh token, after its successor was used.
async fn use_again(app: &TestApp, token: &str) {
    let client = app.anonymous();
    let refresh =
        async |token: &str| client.post("/v1/tokens", json!({ "refresh_token": token })).await;
    let next = refresh(token).await.ok();
    refresh(next["refresh_token"].as_str().unwrap()).await.ok();
    app.advance(chrono::TimeDelta::seconds(11));
    assert_eq!(refresh(token).await.problem().1, "refresh_token_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_proved_it_again_here_has_done_so_there_within_a_second() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let Second { url, changes, .. } = second(&app).await;
    hears(&changes).await;
    app.advance(chrono::TimeDelta::minutes(11));
    let there = owner.at(&url);
    let change = async || there.post("/v1/me/second-factor", json!({})).await;
    assert_eq!(change().await.problem(), (401, "reauthentication_required".into()));

    let proof = json!({ "password": PASSWORD });
    assert_eq!(owner.post("/v1/reauthentications", proof).await.status, 204);

    is_noticed("the proof", async || change().await.status == 201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_rotated_and_people_and_orgs_suspended_here_are_so_there_within_a_second() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let member = app.member(&owner, web::Role::Member).await;
    let Second { url, changes, .. } = second(&app).await;
    hears(&changes).await;
    let (id, program) = key_of(&owner).await;
    let status = async |client: &Client| client.at(&url).get("/v1/me").await.status.as_u16();
    for client in [&program, &owner, &member] {
        assert_eq!(status(client).await, 200, "and it is remembered there");
    }

    let at_once = json!({ "overlap_seconds": 0 });
    owner.post(&format!("/v1/api-keys/{id}/rotations"), at_once).await.ok();
    is_noticed("the secret's end", async || status(&program).await == 401).await;
    owner.delete(&format!("/v1/members/{}", member.user())).await.ok_text();
    let theirs = owner.org().to_string();
    let member_there = member.header("x-slipway-org", &theirs);
    is_noticed("the membership's end", async || status(&member_there).await == 404).await;
    let reason = json!({ "reason": "r" });
    operator
        .put(&format!("/admin/v1/users/{}/suspension", member.user()), reason.clone())
        .await
        .ok();
    is_noticed("the person's suspension", async || status(&member).await == 401).await;
    operator.put(&format!("/admin/v1/orgs/{theirs}/suspension"), reason).await.ok();
    is_noticed("the org's suspension", async || status(&owner).await == 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_an_instance_hears_nothing_holds_there_within_a_second_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let Second { url, changes, .. } = second(&app).await;
    hears(&changes).await;
    let there = owner.at(&url);
    there.get("/v1/me").await.ok();

    // Its connection ends and the change is made before it can have another.
    let deaf = "with ended as (
                    select pg_terminate_backend(pid, 1000) from pg_stat_activity
                    where application_name = 'slipway listen' and datname = current_database())
                select count(*) from ended";
    let deaf: i64 = sqlx::query_scalar(deaf).fetch_one(app.db.pool()).await.unwrap();
    assert!(deaf > 0);
    let change = "update memberships set role = 'viewer'";
    sqlx::query(change).execute(app.db.pool()).await.unwrap();

    let is_viewer = async || there.get("/v1/me").await.body["role"] == "viewer";
    is_noticed("the new role", is_viewer).await;
    hears(&changes).await;
    let change = "update memberships set role = 'admin'";
    sqlx::query(change).execute(app.db.pool()).await.unwrap();
    let is_admin = async || there.get("/v1/me").await.body["role"] == "admin";
    is_noticed("the next role", is_admin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ai_switched_off_here_is_off_there_within_a_second_heard_of_or_not() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let Second { url, changes, .. } = second(&app).await;
    let there = owner.at(&url);
    let status = async || there.post("/v1/chat/completions", chat()).await.status.as_u16();

    assert_eq!(status().await, 200);
    operator.put("/admin/v1/ai-control", json!({ "on": false })).await.ok();
    is_noticed("the kill switch", async || status().await == 503).await;
    operator.put("/admin/v1/ai-control", json!({ "on": true })).await.ok();
    is_noticed("its end", async || status().await == 200).await;

    hears(&changes).await;
    assert_eq!(status().await, 200);
    owner.put("/v1/ai-control", json!({ "on": false })).await.ok();
    is_noticed("the org's switch", async || status().await == 503).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_catalogue_is_in_force_on_both_within_a_second() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let Second { url, changes, .. } = second(&app).await;
    hears(&changes).await;
    let buyer = app.anonymous().at(&url);
    let price = async || buyer.get("/v1/plans").await.ok()["items"][1]["month_cents"].clone();
    assert_eq!(price().await, 1_900);

    let shown = operator.get("/admin/v1/catalogue").await.ok();
    let mut catalogue = json!({ "plans": shown["plans"], "packs": shown["packs"] });
    catalogue["plans"][1]["month_cents"] = 2_100.into();
    operator.put("/admin/v1/catalogue", catalogue).await.ok();

    is_noticed("a new catalogue", async || price().await == 2_100).await;
}
