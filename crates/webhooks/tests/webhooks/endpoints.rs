use serde_json::json;
use testing::TestApp;
use web::Role;

use crate::{listen, path};

/// As in production: nothing but the internet.
async fn closed() -> TestApp {
    TestApp::start_with(|settings| settings.egress.egress_allow_loopback = false).await
}

#[tokio::test]
async fn an_endpoint_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = listen(&app, &owner, "/a").await;
    assert_eq!(made["enabled"], json!(true));
    let read = owner.get(&path(&made)).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.ok()["url"], made["url"]);

    let change = json!({ "events": ["api_key.created", "api_key.created"], "enabled": false });
    let changed = owner.patch(&path(&made), change).await.ok();
    assert_eq!(changed["events"], json!(["api_key.created"]));
    assert_eq!(changed["disabled_reason"], json!("request"));
    assert_eq!(changed["version"], json!(2));
    let stale = owner.header("if-match", "\"1\"").patch(&path(&made), json!({})).await;
    assert_eq!(stale.problem(), (412, "stale_version".into()));

    owner.delete(&path(&made)).await.ok_text();
    let gone = owner.get(&path(&made)).await.problem();
    assert_eq!(gone, (404, "webhook_endpoint_not_found".into()));
    assert_eq!(owner.get("/v1/webhook-endpoints").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_secret_is_shown_when_it_is_made_and_never_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = listen(&app, &owner, "/a").await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    for read in ["/v1/webhook-endpoints", &path(&made), "/v1/audit-log"] {
        let text = owner.get(read).await.ok_text();
        assert!(!text.contains("whsec_") && !text.contains(&secret[6..]), "{read}: {text}");
    }
}

#[tokio::test]
async fn a_url_that_is_not_public_is_refused_when_it_is_saved() {
    let app = closed().await;
    let owner = app.owner().await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.1.2.3",
        "100.64.0.1",
        "localhost",
        "x.localhost",
        "ⓛocalhost",
    ] {
        let url = json!({ "url": format!("https://{host}/hooks") });
        let refused = owner.post("/v1/webhook-endpoints", url).await;
        assert_eq!(refused.body["errors"][0]["pointer"], "/url", "{host}");
        assert_eq!(refused.problem(), (422, "invalid_field".into()), "{host}");
    }
    let url = json!({ "url": "https://hooks.example.com/a" });
    let made = owner.post("/v1/webhook-endpoints", url).await.ok();
    let inside = json!({ "url": "https://10.0.0.1/" });
    assert_eq!(owner.patch(&path(&made), inside).await.problem().0, 422, "nor by a change");
}

#[tokio::test]
async fn other_schemes_ports_users_control_characters_and_headers_are_refused() {
    let app = closed().await;
    let owner = app.owner().await;
    for url in [
        "http://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:5432/",
        "https://example.com:6379/",
        "https://example.com/\r\nHost: evil",
        "not a url",
        "",
    ] {
        let refused = owner.post("/v1/webhook-endpoints", json!({ "url": url })).await;
        assert_eq!(refused.problem().0, 422, "{url:?}");
    }
    for header in ["Host", "Content-Length", "webhook-signature"] {
        let url = "https://example.com/";
        let new = json!({ "url": url, "headers": { header: "x" } });
        assert_eq!(owner.post("/v1/webhook-endpoints", new).await.problem().0, 422, "{header}");
    }
    for description in ["two\nlines", &"é".repeat(201)] {
        let new = json!({ "url": "https://example.com/", "description": description });
        assert_eq!(owner.post("/v1/webhook-endpoints", new).await.problem().0, 422);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_has_no_more_endpoints_than_it_may_however_many_it_asks_for_at_once() {
    let app = TestApp::start_with(|settings| settings.webhooks.webhooks_max_endpoints = 3).await;
    let owner = app.owner().await;
    let asked = (0..8).map(|n| {
        let owner = owner.clone();
        let url = json!({ "url": format!("https://example.com/{n}") });
        tokio::spawn(async move { owner.post("/v1/webhook-endpoints", url).await })
    });
    let mut refused = 0;
    for reply in asked.collect::<Vec<_>>() {
        let reply = reply.await.unwrap();
        if !reply.status.is_success() {
            refused += 1;
            assert_eq!(reply.problem(), (409, "too_many_webhook_endpoints".into()));
        }
    }
    assert_eq!(refused, 5);
    let other = app.owner().await;
    let url = json!({ "url": "https://example.com/" });
    other.post("/v1/webhook-endpoints", url).await.ok();
}

#[tokio::test]
async fn types_are_listed_with_schema_and_example_and_unknown_ones_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let types = owner.get("/v1/webhook-event-types").await.ok();
    let types = types["items"].as_array().unwrap();
    let created = types.iter().find(|it| it["name"] == "api_key.created").unwrap();
    assert_eq!(created["schema"]["properties"]["name"]["type"], json!("string"));
    assert_eq!(created["example"]["name"], json!("Production server"));

    let new = json!({ "url": "https://example.com/", "events": ["api_key.created", "no.such"] });
    let refused = owner.post("/v1/webhook-endpoints", new).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/events");
    assert_eq!(refused.problem().0, 422);
}

#[tokio::test]
async fn only_those_who_run_the_org_decide_who_is_told() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = listen(&app, &owner, "/a").await;
    for role in [Role::Member, Role::Billing, Role::Viewer] {
        let member = app.member(&owner, role).await;
        assert_eq!(member.get(&path(&made)).await.problem().0, 403, "{role:?}");
        assert_eq!(member.delete(&path(&made)).await.problem().0, 403, "{role:?}");
    }
    app.member(&owner, Role::Admin).await.get(&path(&made)).await.ok();
}
