//! Without AI the rest of the product goes on.

use reqwest::Method;
use serde_json::json;
use testing::{Client, TestApp};
use web::Audience;

use crate::openapi::describe;

const CHAT: &str = "/v1/chat/completions";

/// Everything that can be read without naming one thing.
async fn reads_everything(owner: &Client) {
    let (_, operations) = describe();
    let reads = operations.iter().filter(|it| {
        matches!(it.access.audience, Audience::Callers(_) | Audience::Anyone)
            && it.method == Method::GET.as_str()
            && !it.path.contains('{')
    });
    let mut walked = 0;
    for operation in reads {
        // Streams go on for ever, and pages for a browser ask for what it brought: the head tells.
        let reply = owner.request(Method::GET, &operation.path).send().await.unwrap();
        let status = reply.status().as_u16();
        assert!(status < 500, "GET {}: {status}", operation.path);
        walked += u32::from(status == 200);
    }
    assert!(walked >= 20, "only {walked} answered 200");
}

async fn works(owner: &Client, name: &str) {
    let project = owner.post("/v1/projects", json!({ "name": name })).await.ok();
    let path = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    owner.get(&path).await.ok();
    assert_eq!(owner.delete(&path).await.status, 204);
    let key = owner.post("/v1/api-keys", json!({ "name": name })).await.ok();
    owner.with_key(key["secret"].as_str().unwrap()).get("/v1/usage").await.ok();
    let budget = json!({ "scope": "key", "subject_id": key["id"], "period": "day", "unit": "requests", "amount": 5 });
    owner.post("/v1/budgets", budget).await.ok();
}

#[tokio::test]
async fn with_ai_off_its_providers_down_and_redis_away_every_other_route_answers() {
    // Nothing listens on the discard port.
    let app = TestApp::start_with(|settings| {
        settings.ai.openai_base_url = "http://127.0.0.1:9/v1".to_owned();
        settings.ai.anthropic_base_url = "http://127.0.0.1:9/v1".to_owned();
        settings.rate_limit.rate_limits = rate_limit::Switch::On;
        settings.rate_limit.redis_url = Some("redis://127.0.0.1:9".into());
    })
    .await;
    let owner = app.owner().await;
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 5, "messages": [{ "role": "user", "content": "hello" }],
    });

    let down = owner.post(CHAT, chat.clone()).await;
    assert!(down.header("retry-after").is_some());
    assert_eq!(down.problem(), (503, "ai_unavailable".into()));
    works(&owner, "providers down").await;
    reads_everything(&owner).await;

    owner.put("/v1/ai-control", json!({ "on": false, "reason": "A drill" })).await.ok();
    for path in [CHAT, "/v1/messages"] {
        let off = owner.post(path, chat.clone()).await;
        assert!(off.header("retry-after").is_some(), "{path}");
        assert_eq!(off.problem(), (503, "ai_switched_off".into()), "{path}");
    }
    works(&owner, "AI off").await;
    reads_everything(&owner).await;
    assert_eq!(app.anonymous().get("/health/ready").await.status, 200, "still ready");
    app.assert_books_balance().await;
}
