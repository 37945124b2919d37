use serde_json::json;
use testing::{Client, Reply, TestApp, is_noticed};

use crate::execute;

#[tokio::test]
async fn without_credentials_nothing_private_is_answered() {
    let app = TestApp::start().await;

    let reply = app.anonymous().get("/v1/me").await;

    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    assert_eq!(reply.problem(), (401, "unauthenticated".into()));
}

#[tokio::test]
async fn credentials_that_are_none_are_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let token = owner.token.as_ref().unwrap();
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        format!("Bearer {token}x"),
        format!("Bearer {token}.x"),
        format!("Bearer {}", token.replace('.', "")),
        "Bearer slip_000000000000000000000000000000000000".to_owned(),
        format!("Bearer {}", "9".repeat(30_000)),
    ] {
        let reply = app.anonymous().header("authorization", &value).get("/v1/me").await;
        assert_eq!(reply.problem(), (401, "invalid_token".into()), "{value:.80}");
    }
    let twice = owner.request(reqwest::Method::GET, "/v1/me");
    let twice = twice.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    assert_eq!(twice.status(), 401);
}

#[tokio::test]
async fn the_scheme_may_be_written_in_any_case() {
    let app = TestApp::start().await;
    let token = app.owner().await.token.unwrap();
    let client = app.anonymous().header("authorization", &format!("bearer {token}"));

    client.get("/v1/me").await.ok();
}

#[tokio::test]
async fn a_public_address_serves_even_those_whose_token_has_expired() {
    let app = TestApp::start().await;
    let client = app.anonymous().header("authorization", "Bearer expired");

    client.get("/.well-known/jwks.json").await.ok();
}

/// Asks until the answer is as expected, which it must become on its own.
async fn becomes(client: &Client, expected: impl Fn(&Reply) -> bool) {
    is_noticed("the change", async || expected(&client.get("/v1/me").await)).await;
}

#[tokio::test]
async fn what_happens_to_an_account_elsewhere_holds_within_a_second() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    owner.get("/v1/me").await.ok();

    execute(&app, "update users set disabled_at = now()").await;
    becomes(&owner, |reply| reply.status == 401).await;
    execute(&app, "update users set disabled_at = null").await;
    becomes(&owner, |reply| reply.status == 200).await;
    execute(&app, "update entitlements set tier = 'pro'").await;
    becomes(&owner, |reply| reply.body["tier"] == "pro").await;
    execute(&app, "update memberships set role = 'viewer'").await;
    becomes(&owner, |reply| reply.body["role"] == "viewer").await;
    let write = owner.post("/v1/projects", json!({ "name": "Apollo" })).await;
    assert_eq!(write.problem(), (403, "forbidden".into()));
    execute(&app, "delete from memberships").await;
    becomes(&owner, |reply| reply.status == 401).await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_sends_nobody_to_sign_in_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    execute(&app, "alter table sessions rename to away").await;

    assert_eq!(owner.get("/v1/me").await.problem(), (503, "unavailable".into()));
    execute(&app, "alter table away rename to sessions").await;
    owner.get("/v1/me").await.ok();
}

/// Whoever was seen before is known without asking: every table that tells who calls is away.
#[tokio::test]
async fn who_calls_is_known_without_a_database_read() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let direct = app.db.pool().clone();
    tokio::spawn(db::listen(app.db.changes().clone(), direct));
    let rename = async |from: &str, to: &str| {
        for table in ["sessions", "memberships", "entitlements"] {
            let rename = format!("alter table {table}{from} rename to {table}{to}");
            sqlx::query(sqlx::AssertSqlSafe(rename)).execute(app.db.pool()).await.unwrap();
        }
    };
    // Not at the first try on a machine so busy that for a moment nothing is heard of changes.
    testing::eventually("everybody is known who was seen before", async || {
        testing::eventually("changes are heard of", async || app.db.changes().are_heard()).await;
        owner.get("/v1/me").await.ok();
        rename("", "_away").await;
        let mut known = true;
        for _ in 0..10 {
            known &= owner.get("/v1/me").await.status == 200;
        }
        rename("_away", "").await;
        known
    })
    .await;
}

#[tokio::test]
async fn the_published_keys_verify_our_tokens() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let reply = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(reply.ok()).unwrap();

    let token = owner.token.as_ref().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let key = keys.find(header.kid.as_ref().unwrap()).expect("the key is published");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&["slipway"]);
    // The library asks the machine's clock, and the product another one.
    validation.validate_exp = false;
    validation.set_issuer(&[app.url.as_str()]);
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let claims =
        jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).unwrap().claims;
    assert_eq!(claims["sub"], json!(owner.user()));
    assert_eq!((&claims["org"], &claims["role"]), (&json!(owner.org()), &json!("owner")));
}
