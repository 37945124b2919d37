use rate_limit::Switch;
use reqwest::{Method, header};
use serde_json::json;
use testing::{Reply, TestApp};

async fn send(app: &TestApp, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    let owner = app.owner().await;
    let request = owner.request(Method::POST, "/v1/projects");
    let request = request.header(header::CONTENT_TYPE, content_type).body(body);
    Reply::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn malformed_json_is_a_problem_that_says_where() {
    let app = TestApp::start().await;
    for body in [
        "",
        "{",
        "{\"name\":",
        "{\"name\":\"a\",}",
        "nonsense",
        "{\"name\":\"a\"} trailing",
        "\u{feff}{}",
    ] {
        let reply = send(&app, "application/json", body).await;
        assert_eq!(reply.problem(), (400, "malformed_json".into()), "{body:?}");
    }
    let deep = "[".repeat(100_000);
    let (status, _) = send(&app, "application/json", deep).await.problem();
    assert!((400..500).contains(&status));
}

#[tokio::test]
async fn values_of_the_wrong_kind_and_unknown_fields_are_named() {
    let app = TestApp::start().await;
    for body in [
        json!({}),
        json!([]),
        json!(null),
        json!({ "name": 1 }),
        json!({ "name": null }),
        json!({ "name": "a", "org_id": "b" }),
        json!({ "name": "a\u{0}b" }),
    ] {
        let reply = send(&app, "application/json", body.to_string()).await;
        let (status, code) = reply.problem();
        assert_eq!(status, 422, "{body} gave {code}");
    }
}

#[tokio::test]
async fn duplicate_keys_and_lone_surrogates_never_reach_a_handler() {
    let app = TestApp::start().await;
    for body in [r#"{"name":"a","name":"b"}"#, r#"{"name":"\ud800"}"#] {
        let (status, _) = send(&app, "application/json", body).await.problem();
        assert!((400..500).contains(&status), "{body}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let app = TestApp::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let reply = send(&app, kind, r#"{"name":"a"}"#).await;
        assert_eq!(reply.problem(), (415, "unsupported_media_type".into()), "{kind}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let app = TestApp::start().await;
    let body = format!(r#"{{"name":"{}"}}"#, "a".repeat(2 * 1024 * 1024));
    let reply = send(&app, "application/json", body).await;
    assert_eq!(reply.problem(), (413, "body_too_large".into()));
}

#[tokio::test]
async fn ids_that_cannot_exist_are_not_found() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let long = "a".repeat(10_000);
    for id in
        ["1", "..%2f..%2fetc", "%00", "'", "null", "00000000-0000-0000-0000-00000000000g", &long]
    {
        let reply = owner.get(&format!("/v1/projects/{id}")).await;
        let (status, _) = reply.problem();
        assert!((400..500).contains(&status), "{id} gave {status}");
    }
}

#[tokio::test]
async fn parameters_out_of_range_are_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for query in
        ["limit=0", "limit=-1", "limit=101", "limit=1e9", "limit=true", "limit='", "sort=size"]
    {
        let reply = owner.get(&format!("/v1/projects?{query}")).await;
        assert_eq!(reply.problem().0, 422, "{query}");
    }
    for cursor in ["x", "AAAA", "%00", "%F0"] {
        let reply = owner.get(&format!("/v1/projects?cursor={cursor}")).await;
        let (status, _) = reply.problem();
        assert!([400, 422].contains(&status), "{cursor} gave {status}");
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for path in ["/", "/v1", "/v1/nowhere", "/V1/projects", "/v1/projects/", "//v1/projects"] {
        assert_eq!(owner.get(path).await.problem(), (404, "no_such_address".into()), "{path}");
    }
    let reply = owner.put("/v1/projects", json!({})).await;
    assert!(reply.header("allow").unwrap().contains("POST"));
    assert_eq!(reply.problem(), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_a_request_id() {
    let app = TestApp::start_with(|settings| {
        settings.app_env = kernel::Environment::Production;
        settings.trusted_proxies = 1;
        settings.rate_limit.rate_limits = Switch::On;
    })
    .await;
    let owner = app.owner().await;
    let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(2 * 1024 * 1024));
    let mut answers = vec![
        (200, owner.get("/v1/me").await),
        (404, owner.get("/v1/nowhere").await),
        (405, owner.put("/v1/projects", json!({})).await),
        (401, app.anonymous().get("/v1/me").await),
        (200, app.anonymous().get("/health/live").await),
        (415, send(&app, "text/plain", "x").await),
        (413, send(&app, "application/json", large).await),
    ];
    answers.extend(refusals(&app).await);
    sqlx::query("alter table projects rename to elsewhere").execute(app.db.pool()).await.unwrap();
    answers.push((500, owner.get("/v1/projects").await));
    for (status, reply) in answers {
        assert_eq!(reply.status, status, "{reply:?}");
        for (name, value) in [
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name} of {reply:?}");
        }
        let id = reply.header("x-request-id").unwrap();
        if !reply.status.is_success() {
            assert_eq!(reply.body["request_id"], id);
        }
        assert_eq!(reply.header("server"), None);
    }
}

/// What is refused before anybody is asked who they are.
async fn refusals(app: &TestApp) -> Vec<(u16, Reply)> {
    let guesser = app.anonymous().header("x-forwarded-for", "198.51.100.1");
    let guess = json!({ "email": "ada@example.com", "password": "not the right one" });
    let mut limited = None;
    for _ in 0..6 {
        limited = Some(guesser.post("/v1/sessions", guess.clone()).await);
    }
    let operator = app.operator().await.header("x-forwarded-for", "198.51.100.2");
    let block = json!({ "network": "203.0.113.0/24", "reason": "Credential stuffing" });
    operator.post("/admin/v1/ip-blocks", block).await.ok();
    let blocked = app.anonymous().header("x-forwarded-for", "203.0.113.7");
    let page = app.anonymous().header("cookie", "__Host-slipway_access=a.b.c");
    let page = page.header("sec-fetch-site", "cross-site");
    let cross_site = page.post("/v1/projects", json!({})).await;
    assert_eq!(cross_site.body["code"], "cross_site_request");
    let refused = blocked.get("/v1/plans").await;
    assert_eq!(refused.body["code"], "network_blocked");
    vec![(429, limited.unwrap()), (403, refused), (403, cross_site)]
}
