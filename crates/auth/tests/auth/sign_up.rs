use auth::SignUp;
use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{
    ADA, count, last_link, proof, registration,
    social::{go_with, person, social},
};

async fn app(sign_up: SignUp) -> TestApp {
    TestApp::start_with(|settings| settings.auth.sign_up.sign_up = sign_up).await
}

async fn register_with(client: &Client, email: &str, code: &str) -> Reply {
    let mut body = registration(email);
    body["invite_code"] = json!(code);
    client.post("/v1/users", body).await
}

async fn code(operator: &Client, input: Value) -> String {
    let made = operator.post("/admin/v1/invite-codes", input).await.ok();
    made["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn where_registering_takes_a_code_nobody_registers_without() {
    let app = app(SignUp::Invite).await;
    let without = app.anonymous().post("/v1/users", registration(ADA)).await;
    assert_eq!(without.problem(), (403, "invite_code_required".into()));
    let guessed = register_with(&app.anonymous(), ADA, "guessed").await;
    assert_eq!(guessed.problem(), (403, "invalid_invite_code".into()));
    let begun = app.anonymous().post("/v1/waitlist-entries", json!({ "email": ADA })).await;
    assert_eq!(begun.problem(), (404, "no_waitlist".into()));
    assert_eq!(count(&app, "select count(*) from registrations").await, 0);
}

#[tokio::test]
async fn a_code_lets_as_many_in_as_it_says_and_gives_each_org_its_credits() {
    let app = app(SignUp::Invite).await;
    let operator = app.operator().await;
    let code = code(&operator, json!({ "note": "Beta", "uses": 2, "credits": 50 })).await;
    let emails: Vec<String> = (0..3).map(|n| format!("beta{n}@example.com")).collect();
    for email in &emails {
        assert_eq!(register_with(&app.anonymous(), email, &code).await.status, 202);
    }
    app.run_jobs().await;

    let client = app.anonymous();
    let links: Vec<String> = emails.iter().map(|email| last_link(&app, email)).collect();
    let confirm = join_all(links.iter().map(|link| client.post(link, proof()))).await;
    let confirm: Vec<u16> = confirm.iter().map(|reply| reply.status.as_u16()).collect();

    assert_eq!(confirm.iter().filter(|status| **status == 200).count(), 2, "{confirm:?}");
    assert_eq!(confirm.iter().filter(|status| **status == 403).count(), 1, "{confirm:?}");
    assert_eq!(count(&app, "select count(*) from users").await, 2);
    let credits = "select coalesce(sum(amount), 0)::bigint from grants where source = 'promo'";
    assert_eq!(count(&app, credits).await, 100);
    let late = register_with(&app.anonymous(), "late@example.com", &code).await;
    assert_eq!(late.problem(), (403, "invalid_invite_code".into()));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_code_may_be_for_one_address_end_and_be_removed() {
    let app = app(SignUp::Invite).await;
    let operator = app.operator().await;
    let hour = app.clock.now() + chrono::TimeDelta::hours(1);
    let input = json!({ "note": "Ada", "uses": 9, "email": ADA, "expires_at": hour });
    let code = code(&operator, input).await;
    assert_eq!(register_with(&app.anonymous(), "eve@example.com", &code).await.status, 403);
    assert_eq!(register_with(&app.anonymous(), ADA, &code).await.status, 202);
    let list = operator.get("/admin/v1/invite-codes").await.ok();
    assert!(!list.to_string().contains(&code));
    app.advance(chrono::TimeDelta::hours(1));
    assert_eq!(register_with(&app.anonymous(), ADA, &code).await.status, 403);

    let path = format!("/admin/v1/invite-codes/{}", list["items"][0]["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.status, 204);
    assert_eq!(operator.delete(&path).await.problem(), (404, "invite_code_not_found".into()));
}

#[tokio::test]
async fn whoever_waits_is_let_in_by_an_operator_with_a_code_for_their_address() {
    let app = app(SignUp::Waitlist).await;
    let operator = app.operator().await;
    for _ in 0..2 {
        let joined = app.anonymous().post("/v1/waitlist-entries", json!({ "email": ADA })).await;
        assert_eq!(joined.status, 202);
    }
    let waiting = operator.get("/admin/v1/waitlist-entries").await.ok();
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
    let id = waiting["items"][0]["id"].as_str().unwrap();
    let invite = format!("/admin/v1/waitlist-entries/{id}/invitation");

    assert_eq!(operator.post(&invite, json!({})).await.status, 202);
    app.run_jobs().await;

    let mails = app.simulators.mailbox.messages_to(ADA);
    let text = mails[0].text.as_ref().expect("a text");
    let code = text.split("for this address, is ").nth(1).unwrap().split('.').next().unwrap();
    assert_eq!(register_with(&app.anonymous(), "eve@example.com", code).await.status, 403);
    assert_eq!(register_with(&app.anonymous(), ADA, code).await.status, 202);
    let again = operator.post(&invite, json!({})).await;
    assert_eq!(again.problem(), (404, "not_waiting".into()));
}

#[tokio::test]
async fn a_closed_product_takes_nobody_and_lets_everybody_in_who_has_an_account() {
    let app = app(SignUp::Closed).await;
    let reply = app.anonymous().post("/v1/users", registration(ADA)).await;
    assert_eq!(reply.problem(), (403, "sign_up_closed".into()));
    let owner = app.owner().await;
    assert_eq!(crate::sign_in(&app, &owner.email, PASSWORD).await.status, 201);
}

#[tokio::test]
async fn mailboxes_to_be_thrown_away_are_refused_where_the_setting_says_so() {
    for (refuse, status) in [(true, 422), (false, 202)] {
        let app = TestApp::start_with(|settings| {
            settings.auth.sign_up.refuse_disposable_email = refuse;
            settings.auth.sign_up.disposable_email_domains = vec!["throwaway.example".into()];
        })
        .await;
        for email in ["x@mailinator.com", "x@a.throwaway.example"] {
            let reply = app.anonymous().post("/v1/users", registration(email)).await;
            assert_eq!(reply.status, status, "{email}");
        }
        let reply = app.anonymous().post("/v1/users", registration(ADA)).await;
        assert_eq!(reply.status, 202);
    }
}

#[tokio::test]
async fn whoever_is_new_may_bring_an_invite_code_and_needs_one_where_registering_takes_it() {
    let app = app(SignUp::Invite).await;
    let operator = app.operator().await;
    let code = code(&operator, json!({ "note": "Friends", "uses": 1, "credits": 7 })).await;
    let invited = json!({ "provider": "simulator", "invite_code": code });
    let go_invited = async || go_with(&app.anonymous(), "/v1/social-logins", invited.clone()).await;
    app.simulators.identity.set_person(person("1", "one@example.com"));
    assert_eq!(social(&app, "simulator").await.problem(), (403, "invite_code_required".into()));

    let session = go_invited().await.come_back().await.ok();

    let token = session["access_token"].as_str().unwrap();
    let quotas = app.anonymous().with_key(token).get("/v1/quotas").await.ok();
    assert_eq!(quotas["credits"]["available"], 7, "{quotas}");
    app.simulators.identity.set_person(person("2", "two@example.com"));
    let used_up = go_invited().await.come_back().await;
    assert_eq!(used_up.problem(), (403, "invalid_invite_code".into()));
    app.simulators.identity.set_person(person("1", "one@example.com"));
    social(&app, "simulator").await.ok();
}
