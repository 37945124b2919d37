use serde_json::{Value, json};
use testing::{Client, TestApp};

fn price(name: &str, effective_from: Value) -> Value {
    json!({
        "provider": "openai", "name": name, "kind": "chat", "effective_from": effective_from,
        "source": "https://example.com", "input_per_million": 1000, "output_per_million": 2000, "credits": 1,
    })
}

async fn names(operator: &Client) -> Vec<Value> {
    let list = operator.get("/admin/v1/prices").await.ok();
    list["items"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect()
}

#[tokio::test]
async fn a_price_is_proposed_listed_withdrawn_and_both_are_written_down() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let tomorrow = json!(app.clock.now() + chrono::TimeDelta::days(1));

    let proposed = operator.post("/admin/v1/prices", price("new", tomorrow)).await.ok();
    assert!(names(&operator).await.contains(&json!("new")));
    let path = format!("/admin/v1/prices/{}", proposed["id"].as_str().unwrap());
    operator.delete(&path).await.ok_text();

    assert!(!names(&operator).await.contains(&json!("new")));
    assert_eq!(operator.delete(&path).await.problem(), (409, "price_has_begun".into()));
    let past = json!("2020-01-01T00:00:00Z");
    let refused = operator.post("/admin/v1/prices", price("old", past)).await;
    assert_eq!(refused.problem(), (409, "price_has_begun".into()));
    for action in ["price.proposed", "price.withdrawn"] {
        let log = operator.get(&format!("/admin/v1/audit-log?action={action}")).await.ok();
        assert_eq!(log["items"].as_array().unwrap().len(), 1, "{action}");
    }
}

#[tokio::test]
async fn costs_economics_drift_and_replays_are_for_operators() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let day = app.clock.now().date_naive();
    let csv = format!("provider,model,day,cost_nano_usd\nopenai,gpt-4o,{day},70\n");

    operator.post("/admin/v1/provider-costs", json!({ "csv": csv })).await.ok_text();
    let drift = operator.get("/admin/v1/provider-costs").await.ok();
    assert_eq!(drift["items"][0]["charged_nano_usd"], 70);
    assert_eq!(drift["items"][0]["drifted"], true, "nobody called it");
    let broken = operator.post("/admin/v1/provider-costs", json!({ "csv": "a,b\n1,2\n" })).await;
    assert_eq!(broken.problem(), (422, "invalid_costs".into()));
    for (cost, day) in
        [("-1", "2026-01-01"), ("10000000000000001", "2026-01-01"), ("1", "2999-01-01")]
    {
        let csv = format!("provider,model,day,cost_nano_usd\nopenai,gpt-4o,{day},{cost}\n");
        let refused = operator.post("/admin/v1/provider-costs", json!({ "csv": csv })).await;
        assert_eq!(refused.problem(), (422, "invalid_costs".into()), "{cost} {day}");
    }
    let nothing = operator.post("/admin/v1/provider-costs", json!({})).await;
    assert_eq!(nothing.problem(), (422, "invalid_costs".into()));
    assert_eq!(operator.get("/admin/v1/costs").await.ok()["items"], json!([]));
    let economics =
        operator.get("/admin/v1/unit-economics?from=2026-01-01&to=2026-01-31").await.ok();
    assert_eq!(economics["target_nano_usd"], 150_000_000_000_i64);
    let what_if = json!({
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-31T00:00:00Z",
        "scenario": { "models": { "gpt-4o-mini": "gpt-4o" } },
    });
    assert_eq!(operator.post("/admin/v1/replays", what_if).await.ok()["replayed_nano_usd"], 0);
    let wrong = operator.get("/admin/v1/costs?from=2026-02-01&to=2026-01-01").await;
    assert_eq!(wrong.problem(), (422, "invalid_range".into()));
}
