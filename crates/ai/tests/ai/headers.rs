//! What the headers of an answer tell of budgets, credits and who served it.

use serde_json::json;
use testing::{Client, Reply, TestApp};

use crate::{calls::give_credits, chat, races, streamed};

const CHAT: &str = "/v1/chat/completions";

/// One parameter of `X-Slipway-Budget`.
fn budget<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let told = reply.header("x-slipway-budget").expect("a budget");
    told.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn whose(reply: &Reply) -> &str {
    reply.header("x-slipway-budget").and_then(|it| it.split(';').next()).expect("a budget")
}

async fn limit(owner: &Client, unit: &str, amount: i64) {
    let limit = json!({ "scope": "org", "period": "month", "unit": unit, "amount": amount });
    owner.post("/v1/budgets", limit).await.ok();
}

#[tokio::test]
async fn an_answer_tells_what_is_left_of_the_tightest_budget() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let first = owner.post(CHAT, chat()).await;

    assert_eq!(first.header("x-slipway-paid-by"), Some("plan"));
    assert_eq!(first.header("x-slipway-credits-left"), Some("0"));
    assert_eq!((whose(&first), budget(&first, "unit")), ("org", Some("requests")));
    assert_eq!((budget(&first, "period"), budget(&first, "limit")), (Some("day"), Some("5")));
    assert_eq!(budget(&first, "remaining"), Some("4"));
    assert_eq!(budget(&first, "reset"), Some("43200"), "it is noon in UTC");
    let second = owner.post(CHAT, streamed()).await;
    assert_eq!(budget(&second, "remaining"), Some("3"));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_a_whole_answer_did_not_use_is_told_as_left_and_a_streams_reservation_is_not() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    limit(&owner, "tokens", 250).await;

    let whole = owner.post(CHAT, chat()).await;
    let streamed = owner.post(CHAT, streamed()).await;

    let used = whole.body["usage"]["total_tokens"].as_i64().unwrap();
    assert_eq!(budget(&whole, "unit"), Some("tokens"), "most of it was reserved");
    let left = |reply: &Reply| budget(reply, "remaining").unwrap().parse::<i64>().unwrap();
    assert_eq!(left(&whole), 250 - used);
    assert!(left(&streamed) < 250 - used - 50, "its answer may have 50 tokens");
    assert_eq!(streamed.header("x-slipway-cost-nano-usd"), None);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn past_the_plan_credits_pay_and_are_told() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for _ in 0..5 {
        owner.post(CHAT, chat()).await.ok();
    }
    give_credits(&app, &owner, 10).await;

    let paid = owner.post(CHAT, chat()).await;

    assert_eq!(paid.header("x-slipway-paid-by"), Some("credits"));
    assert_eq!(paid.header("x-slipway-credits"), Some("1"));
    assert_eq!(paid.header("x-slipway-credits-left"), Some("9"));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_platforms_budget_is_nobodys_business() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    // Half of it is left after a call, and four fifths of what the plan includes.
    races::limit(&app, &owner, quotas::Scope::Global, quotas::Unit::Requests, 2).await;

    let reply = owner.post(CHAT, chat()).await;

    assert_eq!((whose(&reply), budget(&reply, "limit")), ("org", Some("5")));
}

#[tokio::test]
async fn a_cheaper_model_that_replaced_a_dearer_one_is_told_with_what_was_asked_for() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    limit(&owner, "requests", 4).await;
    let control = json!({ "on": true, "cheaper_from": 25, "cheaper": { "gpt-4o": "gpt-4o-mini" } });
    owner.put("/v1/ai-control", control).await.ok();
    let mut dear = chat();
    dear["model"] = "gpt-4o".into();
    let before = owner.post(CHAT, dear.clone()).await;
    assert_eq!(before.header("x-slipway-instead-of"), None);
    // How much is used is looked up once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;

    let after = owner.post(CHAT, dear).await;

    assert_eq!(after.header("x-slipway-model"), Some("gpt-4o-mini"));
    assert_eq!(after.header("x-slipway-instead-of"), Some("gpt-4o"));
    assert_eq!(budget(&after, "remaining"), Some("2"));
}
