use chrono::TimeDelta;
use reqwest::{Url, redirect::Policy};
use serde_json::{Value, json};
use simulators::identity::{Fault, Person};
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{ADA, count, execute, register, sign_in, turn_on_second_factor, verified};

const PROVIDERS: [&str; 2] = ["simulator", "github"];

/// A browser that has gone to a provider: with what it will come back.
pub(crate) struct Gone {
    client: Client,
    pub(crate) back: Value,
}

/// Lets a browser begin, go to the provider, and sign in there.
pub(crate) async fn go(client: &Client, path: &str, provider: &str) -> Gone {
    go_with(client, path, json!({ "provider": provider })).await
}

pub(crate) async fn go_with(client: &Client, path: &str, input: Value) -> Gone {
    let (cookie, back) = leave(client, path, input).await;
    Gone { client: client.header("cookie", &cookie), back }
}

/// The cookie that binds it to the browser that began, and what it comes back with.
pub(crate) async fn leave(client: &Client, path: &str, input: Value) -> (String, Value) {
    let begun = client.post(path, input).await;
    let cookie =
        begun.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
    let url = begun.ok()["authorization_url"].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let sent_back = http.get(url).send().await.unwrap();
    let location: Url = sent_back.headers()["location"].to_str().unwrap().parse().unwrap();
    assert_eq!(location.path(), "/v1/social-logins/callback");
    let back = location.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    let back = Value::Object(back.map(|(name, value)| (name, value.into())).collect());
    (cookie, back)
}

impl Gone {
    pub(crate) async fn come_back(&self) -> Reply {
        self.client.post("/v1/social-logins/callback", self.back.clone()).await
    }
}

pub(crate) async fn social(app: &TestApp, provider: &str) -> Reply {
    go(&app.anonymous(), "/v1/social-logins", provider).await.come_back().await
}

pub(crate) fn person(subject: &str, email: &str) -> Person {
    Person { subject: subject.into(), email: email.into(), ..Person::default() }
}

pub(crate) async fn me(app: &TestApp, session: &Value) -> Value {
    let token = session["access_token"].as_str().expect("a token");
    app.anonymous().with_key(token).get("/v1/me").await.ok()
}

#[tokio::test]
async fn whoever_is_new_gets_an_account_and_whoever_comes_again_the_same() {
    let app = TestApp::start().await;
    for (n, provider) in PROVIDERS.into_iter().enumerate() {
        let email = format!("grace{n}@example.com");
        app.simulators.identity.set_person(person(&format!("20{n}"), &email));
        let first = social(&app, provider).await.ok();
        let first = me(&app, &first).await;
        assert_eq!(
            (&first["user"]["email"], &first["user"]["name"]),
            (&json!(email), &json!("Grace Hopper"))
        );
        assert_eq!(first["user"]["email_verified"], true);

        // The address is theirs no longer; the account is.
        app.simulators.identity.set_person(person(&format!("20{n}"), "other@example.com"));
        let second = social(&app, provider).await.ok();
        assert_eq!(me(&app, &second).await["user"], first["user"], "{provider}");
    }
    assert_eq!(count(&app, "select count(*) from users").await, 2);
}

#[tokio::test]
async fn a_browser_gets_there_through_our_page_and_a_get_changes_nothing() {
    let app = TestApp::start().await;
    let gone = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
    let query = serde_urlencoded(&gone.back);
    let page = gone.client.get(&format!("/v1/social-logins/callback?{query}&scope=x")).await;
    assert!(
        page.ok_text().contains("<form method=\"post\" action=\"/v1/social-logins/callback\">")
    );
    assert_eq!(count(&app, "select count(*) from users").await, 0);

    let browser = gone.client.header("accept", "text/html");
    let form = browser.request(reqwest::Method::POST, "/v1/social-logins/callback");
    let form = form.header("content-type", "application/x-www-form-urlencoded").body(query);
    let done = Reply::read(form.send().await.unwrap()).await;
    assert!(done.text.contains("You are signed in"), "{done:?}");
    let cookies: Vec<&str> = done
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|it| it.to_str().unwrap().split(';').next().unwrap())
        .collect();
    app.anonymous().header("cookie", &cookies.join("; ")).get("/v1/me").await.ok();
}

pub(crate) fn serde_urlencoded(fields: &Value) -> String {
    let mut url = Url::parse("http://x").unwrap();
    for (name, value) in fields.as_object().unwrap() {
        url.query_pairs_mut().append_pair(name, value.as_str().unwrap());
    }
    url.query().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_identity_token_that_is_not_for_us_and_for_this_lets_nobody_in() {
    let app = TestApp::start().await;
    for fault in [
        Fault::WrongNonce,
        Fault::NoNonce,
        Fault::WrongAudience,
        Fault::OtherParty,
        Fault::WrongIssuer,
        Fault::AlgNone,
        Fault::Hs256,
        Fault::ForeignKey,
        Fault::Expired,
        Fault::NoExpiry,
        Fault::EmptySubject,
    ] {
        app.simulators.identity.misbehave(fault);
        let reply = social(&app, "simulator").await;
        assert_eq!(reply.problem(), (400, "invalid_social_login".into()), "{fault:?}");
    }
    assert_eq!(count(&app, "select count(*) from users").await, 0);
    assert_eq!(count(&app, "select count(*) from sessions").await, 0);
    app.simulators.identity.recover();
    social(&app, "simulator").await.ok();
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_the_providers_failure_and_makes_no_user() {
    let app = TestApp::start().await;
    let nonsense = [
        ("simulator", Fault::Garbage),
        ("simulator", Fault::NoIdToken),
        ("github", Fault::EmptySubject),
        ("github", Fault::ErrorInSuccess),
        ("github", Fault::Garbage),
    ];
    for (provider, fault) in nonsense {
        let gone = go(&app.anonymous(), "/v1/social-logins", provider).await;
        app.simulators.identity.misbehave(fault);
        let problem = gone.come_back().await.problem();
        assert_eq!(problem, (502, "provider_failed".into()), "{provider}: {fault:?}");
        app.simulators.identity.recover();
    }
    for provider in PROVIDERS {
        let gone = go(&app.anonymous(), "/v1/social-logins", provider).await;
        app.simulators.identity.misbehave(Fault::RefusalInSuccess);
        let problem = gone.come_back().await.problem();
        assert_eq!(problem, (400, "invalid_social_login".into()), "{provider}");
        app.simulators.identity.recover();
    }
    assert_eq!(count(&app, "select count(*) from users").await, 0);
}

#[tokio::test]
async fn a_provider_that_fails_or_never_ends_leaves_the_password() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    for fault in [Fault::Status { status: 503 }, Fault::EndlessKeys] {
        let gone = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
        app.simulators.identity.misbehave(fault);
        let reply = gone.come_back().await;
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
        assert_eq!(reply.problem(), (503, "unavailable".into()), "{fault:?}");
        assert_eq!(sign_in(&app, ADA, PASSWORD).await.status, 201);
        app.simulators.identity.recover();
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_is_away() {
    let app = TestApp::start().await;
    let gone = go(&app.anonymous(), "/v1/social-logins", "github").await;
    app.simulators.identity.misbehave(Fault::Hang);
    assert_eq!(gone.come_back().await.problem(), (503, "unavailable".into()));
}

#[tokio::test]
async fn a_provider_that_calls_itself_another_is_not_asked() {
    let app = TestApp::start().await;
    app.simulators.identity.misbehave(Fault::MixedUp);
    let begun = app.anonymous().post("/v1/social-logins", json!({ "provider": "simulator" })).await;
    assert_eq!(begun.problem(), (502, "provider_failed".into()));
}

#[tokio::test]
async fn only_the_browser_that_left_comes_back_and_only_once() {
    let app = TestApp::start().await;
    let refused = (400, "invalid_social_login".to_owned());
    let (ours, theirs) = (
        go(&app.anonymous(), "/v1/social-logins", "simulator").await,
        go(&app.anonymous(), "/v1/social-logins", "simulator").await,
    );
    // Without the cookie, with another browser's, without or with a forged state.
    let nobody = Gone { client: app.anonymous(), back: ours.back.clone() };
    assert_eq!(nobody.come_back().await.problem(), refused);
    let other = Gone { client: theirs.client.clone(), back: ours.back.clone() };
    assert_eq!(other.come_back().await.problem(), refused);
    let mut forged = ours.back.clone();
    forged["state"] = json!("forged");
    let forged = Gone { client: ours.client.clone(), back: forged };
    assert_eq!(forged.come_back().await.problem(), refused);
    let mut stateless = ours.back.clone();
    stateless.as_object_mut().unwrap().remove("state");
    let stateless = Gone { client: ours.client.clone(), back: stateless };
    assert_eq!(stateless.come_back().await.problem().0, 422);

    ours.come_back().await.ok();
    assert_eq!(ours.come_back().await.problem(), refused, "again");
    // The code of one sign-in with the state of another: PKCE and nonce are not its own.
    let mut crossed = theirs.back.clone();
    let third = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
    crossed["code"] = third.back["code"].clone();
    let crossed = Gone { client: theirs.client, back: crossed };
    assert_eq!(crossed.come_back().await.problem(), refused);
}

#[tokio::test]
async fn a_sign_in_takes_ten_minutes_at_most_and_may_be_declined() {
    let app = TestApp::start().await;
    let gone = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
    app.advance(TimeDelta::minutes(10));
    assert_eq!(gone.come_back().await.problem(), (400, "invalid_social_login".into()));

    let mut gone = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
    gone.back.as_object_mut().unwrap().remove("code");
    assert_eq!(gone.come_back().await.problem(), (400, "social_login_declined".into()));
}

#[tokio::test]
async fn only_providers_of_the_settings_are_used() {
    let app = TestApp::start().await;
    let names = app.anonymous().get("/v1/identity-providers").await.ok();
    assert_eq!(names, json!({ "items": ["simulator", "github"] }));
    let begin = |body: Value| {
        let client = app.anonymous();
        async move { client.post("/v1/social-logins", body).await.problem() }
    };
    let unknown = begin(json!({ "provider": "evil" })).await;
    assert_eq!(unknown, (422, "no_such_provider".into()));
    let own = json!({ "provider": "simulator", "issuer": "https://evil.example" });
    assert_eq!(begin(own).await, (422, "invalid_body".into()));
}

#[tokio::test]
async fn an_unverified_address_neither_signs_in_nor_links_nor_makes_an_account() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    for provider in PROVIDERS {
        for (fault, email) in [
            (Fault::UnverifiedEmail, ADA),
            (Fault::UnverifiedEmail, "new@example.com"),
            (Fault::NoEmail, "new@example.com"),
        ] {
            app.simulators.identity.set_person(person("77", email));
            app.simulators.identity.misbehave(fault);
            let reply = social(&app, provider).await;
            assert_eq!(reply.problem(), (403, "unverified_identity".into()), "{provider}: {email}");
        }
    }
    app.simulators.identity.misbehave(Fault::UnsaidEmail);
    let unsaid = social(&app, "simulator").await;
    assert_eq!(unsaid.problem(), (403, "unverified_identity".into()), "what is not said is not so");
    assert_eq!(count(&app, "select count(*) from identities").await, 0);
    assert_eq!(count(&app, "select count(*) from users").await, 1);
}

#[tokio::test]
async fn an_account_is_not_entered_by_its_address_but_linked_by_its_owner() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.identity.set_person(person("88", &owner.email));
    let stranger = social(&app, "simulator").await;
    assert_eq!(stranger.problem(), (409, "account_exists".into()));

    let gone = go(&owner, "/v1/me/identities", "simulator").await;
    let browser = Gone { client: without_token(&app, &gone), back: gone.back.clone() };
    assert_eq!(browser.come_back().await.status, 204);

    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&owner.email);
    let told = mails.last().expect("the owner is told");
    assert_eq!(told.subject, "There is a new way to sign in to your account");
    let session = social(&app, "simulator").await.ok();
    assert_eq!(me(&app, &session).await["user"]["id"], json!(owner.user()));
    let list = owner.get("/v1/me/identities").await.ok();
    assert_eq!(list["items"][0]["provider"], "simulator");
    let other = app.owner().await;
    let taken = go(&other, "/v1/me/identities", "simulator").await;
    let taken = Gone { client: without_token(&app, &taken), back: taken.back.clone() };
    assert_eq!(taken.come_back().await.problem(), (409, "identity_taken".into()));
}

/// The same browser, as it comes back from another site: with cookies alone.
fn without_token(_: &TestApp, gone: &Gone) -> Client {
    let mut client = gone.client.clone();
    client.token = None;
    client
}

#[tokio::test]
async fn a_stranger_with_the_same_address_at_the_provider_is_not_the_same_person() {
    let app = TestApp::start().await;
    app.simulators.identity.set_person(person("99", "grace@example.com"));
    social(&app, "simulator").await.ok();

    app.simulators.identity.misbehave(Fault::OtherSubject);
    assert_eq!(social(&app, "simulator").await.problem(), (409, "account_exists".into()));
}

#[tokio::test]
async fn what_a_stranger_registered_with_a_victims_address_is_void_when_the_victim_arrives() {
    let app = TestApp::start().await;
    let link = register(&app, "grace@example.com").await;

    let session = social(&app, "simulator").await.ok();

    let laid = app.anonymous().post(&link, json!({ "password": PASSWORD })).await;
    assert_eq!(laid.problem(), (400, "invalid_link".into()));
    assert_eq!(sign_in(&app, "grace@example.com", PASSWORD).await.status, 401);
    assert_eq!(me(&app, &session).await["user"]["name"], "Grace Hopper");
}

#[tokio::test]
async fn an_account_that_nobody_confirmed_goes_to_whoever_owns_the_address_and_nothing_in_it_holds()
{
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "laid" })).await.ok();
    turn_on_second_factor(&app, &owner).await;
    app.simulators.identity.set_person(person("54", "thief@example.com"));
    let linked = go(&owner, "/v1/me/identities", "github").await;
    assert_eq!(linked.come_back().await.status, 204);
    execute(&app, "update users set email_verified_at = null").await;
    app.simulators.identity.set_person(person("55", &owner.email));

    social(&app, "simulator").await.ok();

    assert_eq!(owner.get("/v1/me").await.status, 401);
    assert_eq!(owner.with_key(key["secret"].as_str().unwrap()).get("/v1/me").await.status, 401);
    assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 401);
    let linked = "select count(*) from identities where subject = '55'";
    assert_eq!(count(&app, linked).await, 1);
    assert_eq!(count(&app, "select count(*) from identities").await, 1, "the thief's is not");
}

#[tokio::test]
async fn a_provider_is_only_the_first_factor_and_a_disabled_account_stays_out() {
    let app = TestApp::start().await;
    let session = social(&app, "simulator").await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    turn_on_second_factor(&app, &client).await;
    let half = social(&app, "simulator").await;
    assert_eq!(half.problem(), (401, "second_factor_required".into()));

    execute(&app, "update users set disabled_at = now()").await;
    assert_eq!(social(&app, "simulator").await.problem(), (403, "account_disabled".into()));
}

#[tokio::test]
async fn the_only_way_in_cannot_be_unlinked_and_others_can() {
    let app = TestApp::start().await;
    let session = social(&app, "simulator").await.ok();
    let client = app.anonymous().with_key(session["access_token"].as_str().unwrap());
    let list = client.get("/v1/me/identities").await.ok();
    let path = format!("/v1/me/identities/{}", list["items"][0]["id"].as_str().unwrap());
    let stranger = app.owner().await.delete(&path).await;
    assert_eq!(stranger.problem(), (404, "identity_not_found".into()));
    assert_eq!(client.delete(&path).await.problem(), (409, "only_way_in".into()));

    client.post("/v1/me/password", json!({ "password": PASSWORD })).await.ok();
    assert_eq!(client.delete(&path).await.status, 204);
    let unlinked = "select count(*) from audit_events where action = 'identity.unlinked'";
    assert_eq!(count(&app, unlinked).await, 1);
    assert_eq!(social(&app, "simulator").await.problem(), (409, "account_exists".into()));
    assert_eq!(sign_in(&app, "grace@example.com", PASSWORD).await.status, 201);
}
