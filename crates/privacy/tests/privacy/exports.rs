use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::Role;

use crate::{count_files, download, run};

async fn ask(client: &Client, whose: &str) -> String {
    let export = client.post(&format!("/v1/{whose}/exports"), json!(null)).await.ok();
    assert_eq!(export["status"], "queued");
    export["id"].as_str().unwrap().to_owned()
}

/// Does something of every kind, all of it marked with `word`.
async fn leave_traces(app: &TestApp, client: &Client, word: &str) {
    client.patch("/v1/me", json!({ "name": format!("Name {word}") })).await.ok();
    client.post("/v1/api-keys", json!({ "name": format!("key-{word}") })).await;
    client.post("/v1/projects", json!({ "name": format!("project-{word}") })).await;
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10,
        "messages": [{ "role": "user", "content": format!("prompt-{word}") }],
    });
    client.post("/v1/chat/completions", chat.clone()).await.ok();
    client.header("prefer", "respond-async").post("/v1/chat/completions", chat).await;
    app.run_jobs().await;
    app.quotas.settled().await;
}

/// Security case 127.
#[tokio::test]
async fn a_copy_has_what_is_kept_about_its_person_and_nothing_of_others() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let bob = app.member(&ada, Role::Admin).await;
    leave_traces(&app, &ada, "of-ada").await;
    leave_traces(&app, &bob, "of-bob").await;
    bob.post("/v1/invitations", json!({ "email": "third@example.com", "role": "viewer" })).await;

    let export = ask(&ada, "me").await;
    app.run_jobs().await;
    let shown = ada.get(&format!("/v1/exports/{export}")).await.ok();
    assert_eq!(shown["status"], "ready", "{shown}");
    let mail = app.simulators.mailbox.messages_to(&ada.email).pop().unwrap();
    assert_eq!(mail.subject, "The copy of your data is ready");

    let files = download(&ada, &export).await;
    let rows = |name: &str| serde_json::from_str::<Vec<Value>>(&files[name]).unwrap();
    assert_eq!(rows("users.json")[0]["email"], ada.email);
    assert_eq!(rows("memberships.json")[0]["role"], "owner");
    assert_eq!(rows("api_keys.json")[0]["name"], "key-of-ada");
    assert!(files["generations.json"].contains("prompt-of-ada"));
    for file in ["sessions.json", "usage_records.json", "audit_events.json"] {
        assert!(files.contains_key(file), "{:?}", files.keys());
    }

    let all = files.values().cloned().collect::<String>();
    for others in ["of-bob", bob.email.as_str(), &bob.user().to_string(), "third@example.com"] {
        assert!(!all.contains(others), "{others} is in the copy of somebody else's data");
    }
    for secret in ["hash\"", "secret\"", "argon2", ada.token.as_deref().unwrap()] {
        assert!(!all.contains(secret), "{secret} is in a copy");
    }
    assert!(!files.contains_key("projects.json"), "they are the org's");
}

#[tokio::test]
async fn a_copy_of_an_org_has_its_data_but_not_what_only_concerns_its_members() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let bob = app.member(&ada, Role::Member).await;
    leave_traces(&app, &ada, "of-ada").await;
    leave_traces(&app, &bob, "of-bob").await;
    let other = app.owner().await;
    leave_traces(&app, &other, "elsewhere").await;

    let refused = bob.post("/v1/org/exports", json!(null)).await;
    assert_eq!(refused.status, 403, "for owners only");
    let objects = app.settings.storage.storage_dir.join(format!("orgs/{}", ada.org()));
    for name in ["assets/one", "uploads/two/00001"] {
        let path = objects.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("what is in {name}")).unwrap();
    }
    let export = ask(&ada, "org").await;
    app.run_jobs().await;
    let files = download(&ada, &export).await;

    assert!(files["projects.json"].contains("project-of-bob"));
    assert_eq!(files["files/assets/one"], "what is in assets/one");
    assert!(!files.keys().any(|name| name.contains("uploads/")), "they are no files yet");
    assert!(files["memberships.json"].contains(&bob.user().to_string()));
    let all = files.values().cloned().collect::<String>();
    for private in ["prompt-of-bob", "prompt-of-ada", "Name of-bob", "elsewhere", "user_agent"] {
        assert!(!all.contains(private), "{private} is in the copy of an org");
    }
    app.set_role(&ada, &bob, Role::Owner).await;
    app.set_role(&ada, &ada, Role::Member).await;
    let path = format!("/v1/exports/{export}/archive");
    assert_eq!(ada.get(&path).await.status, 404, "no longer an owner");
}

/// Security case 127.
#[tokio::test]
async fn a_copy_is_for_whoever_asked_only_and_for_a_week() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.owner().await, app.owner().await);
    let export = ask(&ada, "me").await;
    let path = format!("/v1/exports/{export}/archive");
    let waiting = ada.get(&path).await;
    assert_eq!(waiting.problem(), (409, "export_not_ready".into()));
    app.run_jobs().await;

    assert_eq!(app.anonymous().get(&path).await.status, 401);
    for path in [&path, &format!("/v1/exports/{export}")] {
        assert_eq!(bob.get(path).await.status, 404);
    }
    assert_eq!(bob.get("/v1/exports").await.ok()["items"], json!([]));
    download(&ada, &export).await;
    let files = app.settings.storage.storage_dir.join("people");
    assert_eq!(count_files(&files), 1);

    app.advance(TimeDelta::days(8));
    run(&app, "privacy.purge_exports", json!({})).await;
    assert_eq!(count_files(&files), 0, "its time is over");
    let status: String = sqlx::query_scalar("select status from data_exports")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(status, "expired");
}

#[tokio::test]
async fn a_copy_takes_a_recent_proof_of_who_asks() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let export = ask(&ada, "me").await;
    app.run_jobs().await;
    app.advance(TimeDelta::minutes(11));
    for reply in [
        ada.post("/v1/me/exports", json!(null)).await,
        ada.get(&format!("/v1/exports/{export}/archive")).await,
    ] {
        assert_eq!(reply.status, 401, "{reply:?}");
    }
}

/// Security case 127.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_copy_a_day_is_made_however_many_are_asked_for() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let replies = join_all((0..8).map(|_| ada.post("/v1/me/exports", json!(null)))).await;
    let accepted = replies.iter().filter(|it| it.status == 202).count();
    assert_eq!(accepted, 1);
    for refused in replies.iter().filter(|it| it.status != 202) {
        assert_eq!(refused.clone().problem(), (429, "export_too_soon".into()));
        assert!(refused.header("retry-after").is_some());
    }
    app.run_jobs().await;
    assert_eq!(ada.post("/v1/org/exports", json!(null)).await.status, 202, "that is another one");
    let asked = "select count(*) from audit_events where action = 'export.requested'";
    let asked: i64 = sqlx::query_scalar(asked).fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn a_copy_whose_job_runs_twice_is_told_of_once() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let export = ask(&ada, "me").await;
    // As if the first worker had died, or only seemed to have.
    run(&app, "privacy.make_export", json!({ "export": export })).await;
    let mails = app.simulators.mailbox.messages_to(&ada.email);
    assert_eq!(mails.iter().filter(|it| it.subject.contains("copy of your data")).count(), 1);
    download(&ada, &export).await;
}

#[tokio::test]
async fn a_copy_that_was_given_up_while_it_was_made_leaves_nothing() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    ask(&ada, "me").await;
    // Its maker finds that it is not the one any more that is waited for.
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger refuse before update on data_exports for each row
             when (new.status = 'ready') execute function refuse()",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&ada.email);
    assert!(!mails.iter().any(|it| it.subject.contains("copy of your data")));
    assert_eq!(count_files(&app.settings.storage.storage_dir.join("people")), 0);
}

#[tokio::test]
async fn a_copy_that_nobody_makes_is_given_up_and_can_be_asked_for_again() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    ask(&ada, "me").await;
    let forget = "delete from graphile_worker._private_jobs";
    sqlx::query(forget).execute(app.db.pool()).await.unwrap();
    let age = "update data_exports set created_at = created_at - interval '13 hours'";
    sqlx::query(age).execute(app.db.pool()).await.unwrap();
    run(&app, "privacy.purge_exports", json!({})).await;
    let exports = ada.get("/v1/exports").await.ok();
    assert_eq!(exports["items"][0]["status"], "failed");
    ask(&ada, "me").await;
}
