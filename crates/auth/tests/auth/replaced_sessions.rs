//! A browser that signs in although it has a session.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{
    cookies::{REFRESH, cookies, sign_in_with_cookies},
    passkeys::{self, Device},
    refresh, sign_in, social, turn_on_second_factor,
};

const SIGN_IN: &str = "__Host-slipway_sign_in";
const WAYS: [&str; 8] = [
    "password",
    "second factor",
    "page of the second factor",
    "code",
    "link",
    "provider",
    "page of the provider",
    "passkey",
];

/// Somebody for each way in.
struct People {
    app: TestApp,
    plain: Client,
    with_authenticator: Client,
    totp: String,
    device: Device,
}

impl People {
    async fn gather() -> Self {
        let app = passkeys::start().await;
        let plain = app.owner().await;
        let with_authenticator = app.owner().await;
        let (totp, _) = turn_on_second_factor(&app, &with_authenticator).await;
        let (device, _) = passkeys::add(&app.owner().await, "My phone").await;
        Self { app, plain, with_authenticator, totp, device }
    }

    /// Signs in as `way` says, in a browser that sends the cookies `had`.
    async fn sign_in(&mut self, way: &str, had: &str) -> Reply {
        let browser = self.app.anonymous().header("cookie", had);
        match way {
            "password" => sign_in_with_cookies(&self.app, &browser, &self.plain.email).await,
            "second factor" => {
                let proof = json!({
                    "challenge": self.first_factor().await, "code": self.app.totp_code(&self.totp),
                    "transport": "cookie",
                });
                browser.post("/v1/sessions/second-factor", proof).await
            }
            "page of the second factor" => {
                let challenge = self.first_factor().await;
                let binding = format!("{SIGN_IN}={}", challenge.as_str().unwrap());
                let code = json!({ "code": self.app.totp_code(&self.totp) });
                self.post_form("/v1/sessions/second-factor", had, &binding, &code).await
            }
            "code" | "link" => self.follow_mail(way, had).await,
            "provider" | "page of the provider" => self.come_back(way, had).await,
            _ => {
                let asked = passkeys::ask(&self.app, None).await;
                let mut proof = passkeys::answer(&asked, &mut self.device);
                proof["transport"] = json!("cookie");
                browser.post("/v1/sessions/passkey", proof).await
            }
        }
    }

    async fn first_factor(&self) -> Value {
        let half = sign_in(&self.app, &self.with_authenticator.email, PASSWORD).await;
        half.body["challenge"].clone()
    }

    async fn follow_mail(&self, way: &str, had: &str) -> Reply {
        let (app, email) = (&self.app, &self.plain.email);
        let asked = app.anonymous().post("/v1/magic-links", json!({ "email": email })).await;
        app.run_jobs().await;
        let mails = app.simulators.mailbox.messages_to(email);
        let mail = mails.iter().rev().find(|mail| mail.subject.contains("sign-in code")).unwrap();
        let code = mail.links[0].rsplit('/').next().unwrap();
        let challenge = asked.body["challenge"].as_str().unwrap();
        if way == "code" {
            let proof = json!({ "challenge": challenge, "code": code, "transport": "cookie" });
            let browser = app.anonymous().header("cookie", had);
            return browser.post("/v1/sessions/magic-link", proof).await;
        }
        let link = format!("/v1/magic-links/{code}");
        self.post_form(&link, had, &format!("{SIGN_IN}={challenge}"), &json!({})).await
    }

    async fn come_back(&self, way: &str, had: &str) -> Reply {
        let began = json!({ "provider": "simulator", "transport": "cookie" });
        let (binding, back) =
            social::leave(&self.app.anonymous(), "/v1/social-logins", began).await;
        let path = "/v1/social-logins/callback";
        if way == "page of the provider" {
            return self.post_form(path, had, &binding, &back).await;
        }
        let browser = self.app.anonymous().header("cookie", &format!("{had}; {binding}"));
        browser.post(path, back).await
    }

    /// As a page of ours does.
    async fn post_form(&self, path: &str, had: &str, binding: &str, fields: &Value) -> Reply {
        let browser = self.app.anonymous().header("cookie", &format!("{had}; {binding}"));
        let form = browser.header("accept", "text/html").request(reqwest::Method::POST, path);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let form = form.body(social::serde_urlencoded(fields));
        Reply::read(form.send().await.unwrap()).await
    }
}

fn refresh_token(cookies: &str) -> String {
    let mut pairs = cookies.split("; ").filter_map(|it| it.split_once('='));
    pairs.find(|(name, _)| *name == REFRESH).unwrap().1.to_owned()
}

#[tokio::test]
async fn signing_in_ends_the_session_that_the_browser_had_however_one_signs_in_and_however_old_it_is()
 {
    let mut people = People::gather().await;
    let somebody = people.app.owner().await.email;
    for way in WAYS {
        let first = sign_in_with_cookies(&people.app, &people.app.anonymous(), &somebody).await;
        let had = cookies(&first);
        people.app.advance(TimeDelta::minutes(16));

        let again = people.sign_in(way, &had).await;

        assert_eq!(again.status, 201, "{way}: {again:?}");
        let ended = refresh(&people.app, &refresh_token(&had)).await;
        assert_eq!(ended.problem(), (401, "invalid_refresh_token".into()), "{way}");
        let has = people.app.anonymous().header("cookie", &cookies(&again));
        has.get("/v1/me").await.ok();
        has.post("/v1/tokens", json!({})).await.ok();
    }
}

#[tokio::test]
async fn it_is_ended_too_where_only_the_access_token_is_left_of_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let had = cookies(&sign_in_with_cookies(&app, &app.anonymous(), &owner.email).await);
    app.advance(TimeDelta::minutes(16));
    let access = had.split("; ").find(|it| !it.starts_with(REFRESH)).unwrap();

    let browser = app.anonymous().header("cookie", access);
    sign_in_with_cookies(&app, &browser, &owner.email).await;

    let ended = refresh(&app, &refresh_token(&had)).await;
    assert_eq!(ended.problem(), (401, "invalid_refresh_token".into()));
    refresh(&app, owner.refresh_token.as_ref().unwrap()).await.ok();
}
