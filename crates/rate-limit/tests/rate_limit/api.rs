//! The limits, through the API.

use rate_limit::Switch;
use serde_json::json;
use testing::TestApp;

/// The product as it ships; elsewhere tests run with limits lifted.
async fn start() -> TestApp {
    TestApp::start_with(|settings| settings.rate_limit.rate_limits = Switch::On).await
}

#[tokio::test]
async fn one_write_too_many_is_refused_for_its_caller_alone() {
    let app = start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    for left in (0..5).rev() {
        let reply = owner.post("/v1/projects", json!({ "name": format!("Apollo {left}") })).await;
        assert_eq!(reply.status, 201);
        assert_eq!(reply.header("ratelimit-policy"), Some("\"project-writes\";q=5;w=60"));
        let told = format!("\"project-writes\";r={left};t=12");
        assert_eq!(reply.header("ratelimit"), Some(told.as_str()));
    }

    let reply = owner.post("/v1/projects", json!({ "name": "Apollo 13" })).await;
    let told = format!("\"project-writes\";r=0;t={}", reply.header("retry-after").unwrap());
    assert_eq!(reply.header("ratelimit"), Some(told.as_str()));
    assert_eq!(reply.body["violated-policies"], json!(["project-writes"]));
    assert_eq!(reply.problem(), (429, "rate_limited".into()));

    owner.get("/v1/projects").await.ok();
    other.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
}

#[tokio::test]
async fn strangers_are_limited_by_address_and_cannot_forge_another() {
    let app = start().await;
    let stranger = app.anonymous();
    let mut patience = 0..1000;
    while stranger.get("/v1/projects").await.status == 401 {
        assert!(patience.next().is_some(), "a stranger may ask for ever");
    }
    let forged = stranger.header("x-forwarded-for", "203.0.113.9");
    assert_eq!(forged.get("/v1/projects").await.status, 429);
}

#[tokio::test]
async fn probes_are_never_refused() {
    let app = start().await;
    for _ in 0..150 {
        let reply = app.anonymous().get("/health/live").await;
        assert_eq!((reply.status.as_u16(), reply.header("ratelimit")), (200, None));
    }
}

#[tokio::test]
async fn forged_keys_are_refused_before_the_database_is_asked_and_good_ones_are_not() {
    let app = start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/api-keys", json!({ "name": "good" })).await.ok();
    let good = app.anonymous().with_key(made["secret"].as_str().unwrap());
    good.get("/v1/projects").await.ok();

    let mut looks = 0;
    let refused = loop {
        let forged = app.anonymous().with_key(&forged_key(looks));
        let reply = forged.get("/v1/projects").await;
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.problem(), (401, "invalid_token".into()));
        looks += 1;
    };
    assert_eq!(refused.header("ratelimit-policy"), Some("\"unknown-tokens\";q=60;w=60"));
    assert!((59..70).contains(&looks), "{looks}");
    good.get("/v1/projects").await.ok();
}

/// A key that looks like one of ours, checksum and all.
fn forged_key(number: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = format!("slip_{number:030}");
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize].into();
        rest /= 62;
    }
    body + &digits.iter().collect::<String>()
}

#[tokio::test]
async fn an_org_limits_a_key_of_its_own() {
    let app = start().await;
    let owner = app.owner().await;
    let input = json!({ "name": "slow", "requests_per_minute": 2 });
    let made = owner.post("/v1/api-keys", input).await.ok();
    assert_eq!(made["requests_per_minute"], 2);
    let slow = app.anonymous().with_key(made["secret"].as_str().unwrap());
    slow.get("/v1/projects").await.ok();
    slow.get("/v1/projects").await.ok();
    let refused = slow.get("/v1/projects").await;
    assert_eq!(refused.body["violated-policies"], json!(["api-key"]));
    owner.get("/v1/projects").await.ok();

    let none = json!({ "name": "none", "requests_per_minute": 0 });
    assert_eq!(owner.post("/v1/api-keys", none).await.problem().0, 422);
}

#[tokio::test]
async fn a_refusal_on_an_ai_route_carries_the_error_object_that_sdks_read() {
    let app = start().await;
    let owner = app.owner().await;
    let question = json!({ "model": "gpt-4o-mini", "messages": [] });
    let mut reply = owner.post("/v1/chat/completions", question.clone()).await;
    while reply.status != 429 || reply.body["code"] != "rate_limited" {
        reply = owner.post("/v1/chat/completions", question.clone()).await;
    }
    assert_eq!(reply.body["error"]["type"], "rate_limit_error");
    assert_eq!(reply.body["error"]["code"], "rate_limited");
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("\"chat\""));
}

#[tokio::test]
async fn an_operator_passes_a_limit_and_that_is_written_down_once() {
    let app = start().await;
    let operator = app.operator().await;
    for _ in 0..130 {
        operator.get("/admin/v1/orgs?search=x").await.ok();
    }
    let log = operator.get("/admin/v1/audit-log?action=rate_limit.passed").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    assert_eq!(log["items"][0]["subject"], "api");
    assert_eq!(log["items"][0]["actor_kind"], "operator");
    assert_eq!(operator.get("/v1/projects").await.problem(), (403, "forbidden".into()));
}
