//! Identity, seen from outside: through the API, the mails and what is left in the database.

mod access;
mod api_keys;
mod cookies;
mod docs;
mod email_change;
mod impersonation;
mod invitations;
mod ip_blocks;
mod key_rotation;
mod limits;
mod magic_links;
mod new_devices;
mod operators;
mod orgs;
mod ownership;
mod passkeys;
mod password_change;
mod passwords;
mod reauthentication;
mod registration;
mod replaced_sessions;
mod second_factor;
mod sessions;
mod sign_up;
mod social;
mod social_issuers;
mod social_links;
mod suspension;
mod times;
mod written_down;

use serde_json::{Value, json};
use testing::{Client, PASSWORD, Reply, TestApp};

const ADA: &str = "ada@example.com";

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": "Ada Lovelace" })
}

/// Registers, and reads the link from the mail.
async fn register(app: &TestApp, email: &str) -> String {
    let reply = app.anonymous().post("/v1/users", registration(email)).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    app.run_jobs().await;
    last_link(app, email)
}

/// What confirms a registration: the password that it was made with.
fn proof() -> Value {
    json!({ "password": PASSWORD })
}

/// A person who has confirmed their address, but has not signed in.
async fn verified(app: &TestApp, email: &str) -> Client {
    let link = register(app, email).await;
    app.anonymous().post(&link, proof()).await.ok();
    app.anonymous()
}

/// An authenticator, turned on by `client`, whose first code is used up: its address, and the
/// recovery codes.
async fn turn_on_second_factor(app: &TestApp, client: &Client) -> (String, Vec<String>) {
    let new = client.post("/v1/me/second-factor", json!({})).await.ok();
    let totp = new["totp_url"].as_str().expect("an authenticator").to_owned();
    let code = json!({ "code": app.totp_code(&totp) });
    let codes = client.post("/v1/me/second-factor/proof", code).await.ok();
    app.advance(chrono::TimeDelta::seconds(30));
    (totp, serde_json::from_value(codes["recovery_codes"].clone()).expect("codes"))
}

/// Asks for a new password, and reads the link from the mail.
async fn ask_for_reset(app: &TestApp, email: &str) -> String {
    let reply = app.anonymous().post("/v1/password-resets", json!({ "email": email })).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    app.run_jobs().await;
    link_in(app, email, "new password")
}

/// Where the newest mail with `subject` leads to.
fn link_in(app: &TestApp, email: &str, subject: &str) -> String {
    let mails = app.simulators.mailbox.messages_to(email);
    let mail = mails.iter().rev().find(|mail| mail.subject.contains(subject)).expect("a mail");
    mail.links[0].strip_prefix(&app.url).expect("a link to us").to_owned()
}

/// The path of the first link in the newest mail.
fn last_link(app: &TestApp, email: &str) -> String {
    let mails = app.simulators.mailbox.messages_to(email);
    let link = &mails.last().expect("a mail").links[0];
    link.strip_prefix(&app.url).expect("a link to us").to_owned()
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Reply {
    app.anonymous().post("/v1/sessions", json!({ "email": email, "password": password })).await
}

async fn refresh(app: &TestApp, token: &str) -> Reply {
    app.anonymous().post("/v1/tokens", json!({ "refresh_token": token })).await
}

async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(app.db.pool()).await.expect("count")
}

async fn execute(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(app.db.pool()).await.expect("execute");
}

/// How often this kind of mail was written.
async fn mails(app: &TestApp, template: &str) -> i64 {
    sqlx::query_scalar("select count(*) from emails where template = $1")
        .bind(template)
        .fetch_one(app.db.pool())
        .await
        .expect("count the mails")
}
