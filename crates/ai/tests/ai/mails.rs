//! What people are told by mail about their calls.

use serde_json::json;
use testing::{Client, TestApp};

use crate::{calls::give_credits, chat, controls::run};

fn subjects(app: &TestApp, to: &Client) -> Vec<String> {
    let mails = app.simulators.mailbox.messages_to(&to.email);
    mails.iter().map(|mail| mail.subject.clone()).collect()
}

/// Makes a call that nobody waits for, to its end.
async fn in_the_background(app: &TestApp, client: &Client) -> String {
    let reply = client.header("prefer", "respond-async").post("/v1/chat/completions", chat()).await;
    let path = reply.header("location").unwrap().to_owned();
    app.run_jobs().await;
    client.get(&format!("{path}/events")).await.ok_text();
    app.run_jobs().await;
    path
}

/// Rows 279 and 286.
#[tokio::test]
async fn a_person_is_told_that_work_in_the_background_has_ended_unless_they_do_not_want_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let path = in_the_background(&app, &owner).await;
    assert_eq!(subjects(&app, &owner), ["Your chat is ready"]);
    let mail = app.simulators.mailbox.messages_to(&owner.email).pop().unwrap();
    assert!(mail.text.as_ref().unwrap().contains(&path), "{mail:?}");

    app.simulators.ai.next(simulators::ai::Fault::Status { status: 400, retry_after: None });
    in_the_background(&app, &owner).await;
    assert_eq!(subjects(&app, &owner), ["Your chat is ready", "Your chat failed"]);

    let off = json!({ "renders": false });
    owner.patch("/v1/me/email-preferences", off).await.ok();
    in_the_background(&app, &owner).await;
    assert_eq!(subjects(&app, &owner).len(), 2);
}

#[tokio::test]
async fn a_program_is_not_told_by_mail() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "program" })).await.ok();
    let program = owner.with_key(key["secret"].as_str().unwrap());
    in_the_background(&app, &program).await;
    assert!(subjects(&app, &owner).is_empty());
}

#[tokio::test]
async fn credits_that_lapse_are_told_once_and_the_newest_do_not_bring_up_older_ones() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let told = async || {
        run(&app, "ai.alert_credits").await;
        app.run_jobs().await;
        subjects(&app, &owner)
    };
    let execute = async |statement: &'static str| {
        let now = app.clock.now();
        sqlx::query(statement).bind(now).execute(app.db.pool()).await.unwrap();
    };
    give_credits(&app, &owner, 100).await;
    execute("update grants set spent = 85 where $1::timestamptz is not null").await;
    give_credits(&app, &owner, 10).await;
    assert_eq!(told().await, ["25 credits are left"; 0]);
    execute("update grants set spent = amount where amount = 10 and $1::timestamptz is not null")
        .await;
    assert_eq!(told().await, ["15 credits are left"]);

    execute("update grants set expires_at = $1 where amount = 10").await;
    assert_eq!(told().await.len(), 1, "of the others they were told");
    execute("update grants set expires_at = $1").await;
    assert_eq!(told().await.len(), 1, "a renewal may bring new ones any moment");
    execute("update grants set expires_at = $1 - interval '1 day'").await;
    assert_eq!(told().await, ["15 credits are left", "Your credits are used up"]);
    assert_eq!(told().await.len(), 2, "once");
}

#[tokio::test]
async fn credits_that_lapsed_long_ago_are_no_news() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    let lapse = "update grants set expires_at = $1 - interval '8 days'";
    sqlx::query(lapse).bind(app.clock.now()).execute(app.db.pool()).await.unwrap();
    run(&app, "ai.alert_credits").await;
    app.run_jobs().await;
    assert!(subjects(&app, &owner).is_empty());
}

#[tokio::test]
async fn a_person_is_told_of_work_that_was_lost_and_a_program_is_not() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "program" })).await.ok();
    let program = owner.with_key(key["secret"].as_str().unwrap());
    for client in [&owner, &program] {
        client.header("prefer", "respond-async").post("/v1/chat/completions", chat()).await;
    }
    sqlx::query("update generations set status = 'running', leased_until = $1")
        .bind(app.clock.now() - chrono::TimeDelta::seconds(1))
        .execute(app.db.pool())
        .await
        .unwrap();
    run(&app, "ai.end_lost_generations").await;
    app.run_jobs().await;
    assert_eq!(subjects(&app, &owner), ["Your chat failed"]);
}

#[tokio::test]
async fn an_answer_is_kept_even_if_nobody_can_be_told_of_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let reply = owner.header("prefer", "respond-async").post("/v1/chat/completions", chat()).await;
    let path = reply.header("location").unwrap().to_owned();
    let broken = "alter table users rename column name to what_they_are_called";
    sqlx::query(broken).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    app.ai.drain().await;
    let mended = "alter table users rename column what_they_are_called to name";
    sqlx::query(mended).execute(app.db.pool()).await.unwrap();
    assert_eq!(owner.get(&path).await.ok()["status"], json!("succeeded"));
}

#[tokio::test]
async fn who_pays_is_told_once_that_credits_run_out_and_once_that_there_are_none() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let told = async || {
        run(&app, "ai.alert_credits").await;
        app.run_jobs().await;
        subjects(&app, &owner)
    };
    let spend = async |spent: i64| {
        let spend = "update grants set spent = $1 where id = (select id from grants order by id desc limit 1)";
        sqlx::query(spend).bind(spent).execute(app.db.pool()).await.unwrap();
    };
    assert_eq!(told().await, [""; 0], "who was never given any misses none");
    give_credits(&app, &owner, 100).await;
    spend(79).await;
    assert_eq!(told().await, [""; 0]);
    spend(80).await;
    assert_eq!(told().await, ["20 credits are left"]);
    spend(90).await;
    assert_eq!(told().await.len(), 1, "once");
    spend(100).await;
    assert_eq!(told().await, ["20 credits are left", "Your credits are used up"]);
    assert_eq!(told().await.len(), 2, "once");
    give_credits(&app, &owner, 10).await;
    assert_eq!(
        told().await,
        ["20 credits are left", "Your credits are used up", "10 credits are left"]
    );
}
