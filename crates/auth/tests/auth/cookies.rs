use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::{count, refresh};

const ACCESS: &str = "__Host-slipway_access";
pub(crate) const REFRESH: &str = "__Host-slipway_refresh";

/// What the answer sets, as a browser would send it back.
pub(crate) fn cookies(reply: &Reply) -> String {
    let set = reply.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap());
    let pairs: Vec<&str> = set.map(|it| it.split(';').next().unwrap()).collect();
    pairs.join("; ")
}

pub(crate) async fn sign_in_with_cookies(app: &TestApp, client: &Client, email: &str) -> Reply {
    let credentials = json!({ "email": email, "password": PASSWORD, "transport": "cookie" });
    let reply = client.post("/v1/sessions", credentials).await;
    assert_eq!(reply.status, 201, "{reply:?} of {}", app.url);
    reply
}

/// A browser of somebody who is signed in.
async fn browser(app: &TestApp) -> (Client, String) {
    let email = app.owner().await.email;
    let signed_in = sign_in_with_cookies(app, &app.anonymous(), &email).await;
    (app.anonymous().header("cookie", &cookies(&signed_in)), email)
}

#[tokio::test]
async fn cookies_are_for_this_host_alone_and_out_of_reach_of_scripts() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;

    let reply = sign_in_with_cookies(&app, &app.anonymous(), &email).await;

    let set: Vec<&str> =
        reply.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(set.len(), 2);
    for cookie in set {
        assert!(cookie.starts_with(ACCESS) || cookie.starts_with(REFRESH), "{cookie}");
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age="] {
            assert!(cookie.contains(attribute), "{cookie} lacks {attribute}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    assert_eq!(reply.body["token_type"], "Cookie");
    assert!(reply.body["access_token"].is_null() && reply.body["refresh_token"].is_null());
}

#[tokio::test]
async fn a_browser_uses_refreshes_and_ends_its_session_with_cookies_alone() {
    let app = TestApp::start().await;
    let (browser, email) = browser(&app).await;
    assert_eq!(browser.get("/v1/me").await.ok()["user"]["email"], *email);

    let refreshed = browser.post("/v1/tokens", json!({})).await;
    assert!(refreshed.body["refresh_token"].is_null());
    let browser = app.anonymous().header("cookie", &cookies(&refreshed));
    browser.get("/v1/me").await.ok();

    let out = browser.delete("/v1/sessions/current").await;
    assert_eq!(out.status, 204);
    let cleared = out.headers.get_all("set-cookie").iter();
    assert!(cleared.filter(|it| it.to_str().unwrap().contains("Max-Age=0")).count() >= 2);
    assert_eq!(browser.get("/v1/me").await.problem(), (401, "invalid_token".into()));
}

#[tokio::test]
async fn another_sites_page_changes_nothing_with_our_cookies() {
    let app = TestApp::start().await;
    let (browser, _) = browser(&app).await;
    let host = app.url.strip_prefix("http://").unwrap();
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("origin", "http://127.0.0.1:1")],
        vec![("sec-fetch-site", "cross-site"), ("origin", app.url.as_str())],
    ] {
        let mut page = browser.clone();
        for (name, value) in &headers {
            page = page.header(name, value);
        }
        let reply = page.post("/v1/api-keys", json!({ "name": "Forged" })).await;
        assert_eq!(reply.problem(), (403, "cross_site_request".into()), "{headers:?}");
        let out = page.delete("/v1/sessions/current").await;
        assert_eq!(out.status, 403, "{headers:?}");
    }
    let none: Vec<String> = vec![];
    let names: Vec<String> =
        sqlx::query_scalar("select name from api_keys").fetch_all(app.db.pool()).await.unwrap();
    assert_eq!(names, none);

    let own = format!("http://{host}");
    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", own.as_str())] {
        browser.header(name, value).post("/v1/api-keys", json!({ "name": "Ours" })).await.ok();
    }
    // What is no browser, and what carries a token, may come from anywhere.
    browser.post("/v1/api-keys", json!({ "name": "Script" })).await.ok();
    let token = app.owner().await.header("sec-fetch-site", "cross-site");
    token.post("/v1/api-keys", json!({ "name": "Token" })).await.ok();
}

#[tokio::test]
async fn pages_of_a_listed_origin_may_use_cookies_and_others_may_not_even_ask() {
    let app = TestApp::start_with(|settings| {
        settings.cors_origins = vec!["https://app.example.com".parse().unwrap()];
    })
    .await;
    let (browser, _) = browser(&app).await;
    let from =
        |origin: &str| browser.header("origin", origin).header("sec-fetch-site", "same-site");
    from("https://app.example.com").post("/v1/api-keys", json!({ "name": "Ours" })).await.ok();
    let forged = from("https://app.example.com.evil.example");
    assert_eq!(forged.post("/v1/api-keys", json!({ "name": "Forged" })).await.status, 403);

    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("https://app.example.com.evil.example", false),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let preflight = app.anonymous().request(Method::OPTIONS, "/v1/projects");
        let preflight = preflight
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
            .await
            .unwrap();
        let answer = preflight.headers().get("access-control-allow-origin");
        let answer = answer.map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(answer, allowed.then(|| origin.to_owned()));
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_no_body_for_us() {
    let app = TestApp::start().await;
    let (browser, _) = browser(&app).await;
    let form = browser.request(Method::POST, "/v1/projects");
    let form = form.header("content-type", "text/plain").body(r#"{"name":"Forged"}"#);
    let reply = Reply::read(form.send().await.unwrap()).await;
    assert_eq!(reply.problem(), (415, "unsupported_media_type".into()));
}

#[tokio::test]
async fn cookies_and_tokens_are_never_mixed() {
    let app = TestApp::start().await;
    let email = app.owner().await.email;
    let sent = cookies(&sign_in_with_cookies(&app, &app.anonymous(), &email).await);
    let access = sent.split("; ").find(|it| it.starts_with(ACCESS)).unwrap().to_owned();
    let browser = app.anonymous().header("cookie", &sent);
    let other = app.owner().await;
    let token = other.token.as_ref().unwrap();

    let mixed = browser.header("authorization", &format!("Bearer {token}")).get("/v1/me").await;
    assert_eq!(mixed.problem(), (401, "mixed_credentials".into()));

    let theirs = json!({ "refresh_token": other.refresh_token });
    let mixed = browser.post("/v1/tokens", theirs.clone()).await;
    assert_eq!(mixed.problem(), (401, "mixed_credentials".into()));
    // One cookie of the two, fresh or expired.
    let their_token = other.refresh_token.as_ref().unwrap();
    for minutes in [0, 16] {
        app.advance(TimeDelta::minutes(minutes));
        let browser = app.anonymous().header("cookie", &access);
        let mixed = browser.post("/v1/tokens", theirs.clone()).await;
        assert_eq!(mixed.problem(), (401, "mixed_credentials".into()));
        let both = format!("{access}; {REFRESH}={their_token}");
        let browser = app.anonymous().header("cookie", &both);
        let mixed = browser.post("/v1/tokens", json!({})).await;
        assert_eq!(mixed.problem(), (401, "mixed_credentials".into()));
    }
    // Neither was touched.
    assert_eq!(count(&app, "select count(*) from refresh_tokens").await, 3);
    refresh(&app, their_token).await.ok();
    browser.post("/v1/tokens", json!({})).await.ok();
}

#[tokio::test]
async fn an_api_key_or_an_operators_token_in_a_cookie_is_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "server" })).await.ok();
    let operator = app.operator().await.token.unwrap();
    for (token, path) in
        [(key["secret"].as_str().unwrap(), "/v1/me"), (operator.as_str(), "/admin/v1/invariants")]
    {
        let cookie = app.anonymous().header("cookie", &format!("{ACCESS}={token}"));
        assert_eq!(cookie.get(path).await.problem(), (401, "invalid_token".into()));
    }
}
