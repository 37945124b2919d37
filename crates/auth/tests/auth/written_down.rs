//! What is done to an account by somebody who is not signed in is in the audit log all the same.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{PASSWORD, TestApp};

use crate::{
    ADA, ask_for_reset, link_in, sign_in,
    social::{me, person, social},
    verified,
};

/// Of the newest entry of a kind: what it is about, who did it, and in which org it can be read.
async fn written(app: &TestApp, action: &str) -> Value {
    let entry = "select json_build_object('subject', subject, 'kind', actor_kind, 'actor', actor_id, 'org', org_id)
                 from audit_events where action = $1 order by id desc limit 1";
    let entry = sqlx::query_scalar(entry).bind(action).fetch_optional(app.db.pool()).await.unwrap();
    entry.unwrap_or_else(|| panic!("{action} is not written down"))
}

#[tokio::test]
async fn what_a_link_from_a_mail_does_is_written_down_where_its_owner_reads_it() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let session = sign_in(&app, ADA, PASSWORD).await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    let me = client.get("/v1/me").await.ok();
    let by_them = json!({
        "subject": me["user"]["id"], "kind": "user", "actor": me["user"]["id"], "org": me["org"]["id"],
    });
    assert_eq!(written(&app, "user.registered").await, by_them);

    let new = json!({ "email": "ada.new@example.com" });
    assert_eq!(client.post("/v1/me/email-changes", new).await.status, 202);
    app.run_jobs().await;
    let change = link_in(&app, "ada.new@example.com", "Confirm your new");
    app.anonymous().post(&change, json!({})).await.ok();
    assert_eq!(written(&app, "email.changed").await, by_them);
    let undo = link_in(&app, ADA, "about to change");
    app.anonymous().post(&undo, json!({})).await.ok();
    assert_eq!(written(&app, "email_change.undone").await, by_them);

    let reset = ask_for_reset(&app, ADA).await;
    let chosen = json!({ "password": "an entirely different phrase" });
    app.anonymous().post(&reset, chosen).await.ok();
    assert_eq!(written(&app, "password.reset").await, by_them);

    let session = sign_in(&app, ADA, "an entirely different phrase").await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    let log = client.get("/v1/audit-log?limit=100").await.ok();
    let seen: Vec<_> = log["items"].as_array().unwrap().iter().map(|it| &it["action"]).collect();
    assert_eq!(seen.len(), 5, "{log}");
}

#[tokio::test]
async fn an_account_that_somebody_enters_from_elsewhere_says_so() {
    let app = TestApp::start().await;
    app.simulators.identity.set_person(person("7", "grace@example.com"));
    let session = social(&app, "simulator").await.ok();
    let grace = me(&app, &session).await;
    let entry = written(&app, "identity.linked").await;
    assert_eq!((&entry["subject"], &entry["actor"]), (&grace["user"]["id"], &grace["user"]["id"]));
    assert_eq!(entry["org"], grace["org"]["id"]);
}

#[tokio::test]
async fn inviting_enrolling_and_signing_in_operators_is_written_down() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.advance(TimeDelta::seconds(30));
    let code = app.totp_code(operator.totp_url.as_ref().unwrap());
    let factors = json!({ "email": operator.email, "password": PASSWORD, "code": code });
    app.anonymous().post("/admin/v1/sessions", factors).await.ok();

    let invited = written(&app, "operator.invited").await;
    assert_eq!((&invited["kind"], &invited["actor"]), (&json!("system"), &Value::Null));
    for action in ["operator.enrolled", "operator.signed_in"] {
        let entry = written(&app, action).await;
        assert_eq!((&entry["kind"], &entry["actor"]), (&json!("operator"), &invited["subject"]));
        assert_eq!(entry["org"], Value::Null, "no customer reads it");
    }
}
