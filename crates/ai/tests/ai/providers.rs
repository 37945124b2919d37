use ai::{Route, Rule};
use serde_json::json;
use simulators::ai::{Fault, Whom};
use testing::TestApp;

use crate::{chat, only_record, provider_calls, streamed, usage};

async fn route(app: &TestApp, name: &str, models: &[&str]) {
    let models = models.iter().map(|&model| model.to_owned()).collect();
    let rules = [Rule { models, ..Rule::default() }];
    let mut tx = app.db.begin().await.unwrap();
    Route::set(&mut tx, name, &rules, web::IfMatch::ANY, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

fn down() -> Fault {
    Fault::Status { status: 503, retry_after: None }
}

fn asking(model: &str) -> serde_json::Value {
    let mut request = chat();
    request["model"] = model.into();
    request
}

/// The models that were asked, as the provider saw them.
fn asked(app: &TestApp) -> Vec<String> {
    let calls = app.simulators.ai.state().calls;
    calls.iter().filter_map(|call| Some(call.body["model"].as_str()?.to_owned())).collect()
}

fn keys_used(app: &TestApp) -> Vec<String> {
    app.simulators.ai.state().calls.into_iter().filter_map(|call| call.key).collect()
}

#[tokio::test]
async fn a_model_may_be_named_together_with_its_provider() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let reply = owner.post("/v1/chat/completions", asking("openai/gpt-4o-mini")).await;

    assert_eq!(reply.header("x-slipway-provider"), Some("openai"));
    assert_eq!(reply.header("x-slipway-model"), Some("gpt-4o-mini"));
    assert_eq!(asked(&app), ["gpt-4o-mini"], "the provider knows its own name for it");
    let reply = owner.post("/v1/chat/completions", asking("nobody/gpt-4o-mini")).await;
    assert_eq!(reply.problem(), (404, "unknown_model".into()));
}

#[tokio::test]
async fn keys_share_the_calls_and_a_busy_one_rests_as_long_as_it_was_told() {
    let app = TestApp::start_with(|it| it.ai.openai_api_key = Some("busy,free".into())).await;
    let owner = app.owner().await;
    let busy = Fault::Status { status: 429, retry_after: Some(60) };
    app.simulators.ai.always(Whom::Key("busy".into()), busy);

    for _ in 0..4 {
        owner.post("/v1/chat/completions", chat()).await.ok();
    }

    assert_eq!(keys_used(&app), ["busy", "free", "free", "free", "free"]);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_refused_key_is_taken_out_and_no_caller_notices() {
    let app = TestApp::start_with(|it| it.ai.openai_api_key = Some("gone,good".into())).await;
    let owner = app.owner().await;
    let refused = Fault::Status { status: 401, retry_after: None };
    app.simulators.ai.always(Whom::Key("gone".into()), refused);

    for _ in 0..4 {
        owner.post("/v1/chat/completions", chat()).await.ok();
    }

    assert_eq!(keys_used(&app), ["gone", "good", "good", "good", "good"]);
}

#[tokio::test]
async fn when_a_model_is_down_the_next_of_its_route_answers_and_is_booked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    route(&app, "house", &["gpt-4o-mini", "gpt-4.1-mini"]).await;
    app.simulators.ai.always(Whom::Model("gpt-4o-mini".into()), down());
    let mut stream = streamed();
    stream["model"] = "house".into();

    for request in [asking("house"), stream] {
        let reply = owner.post("/v1/chat/completions", request).await;
        assert_eq!(reply.header("x-slipway-model"), Some("gpt-4.1-mini"));
        assert!(reply.status.is_success());
    }

    let models: Vec<String> = sqlx::query_scalar("select distinct model from usage_records")
        .fetch_all(app.db.pool())
        .await
        .unwrap();
    assert_eq!(models, ["gpt-4.1-mini"]);
    let usage = usage(&owner).await;
    let tokens = |name: &str| usage[name].as_i64().unwrap();
    assert_eq!(
        usage["cost_nano_usd"],
        tokens("input_tokens") * 400 + tokens("output_tokens") * 1600
    );
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_of_the_next_since_it_may_be_billed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    route(&app, "house", &["gpt-4o-mini", "gpt-4.1-mini"]).await;
    app.simulators.ai.always(Whom::Model("gpt-4o-mini".into()), Fault::Reset);

    let reply = owner.post("/v1/chat/completions", asking("house")).await;

    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    assert_eq!(asked(&app), ["gpt-4o-mini"]);
    assert_eq!(only_record(&app).await.0, "unknown");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_chain_is_reserved_at_its_dearest_and_settled_at_who_served() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    route(&app, "house", &["gpt-4o-mini", "gpt-4o"]).await;
    app.simulators.ai.hold();

    let calling = owner.post("/v1/chat/completions", asking("house"));
    let looking = async {
        app.simulators.ai.wait_for_calls(1).await;
        let held: i64 = sqlx::query_scalar("select cost_nano_usd from holds")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
        app.simulators.ai.release();
        held
    };
    let (reply, held) = futures::join!(calling, looking);

    assert_eq!(reply.header("x-slipway-model"), Some("gpt-4o-mini"));
    assert!(held >= 50 * 10_000, "50 tokens of gpt-4o cost 500,000 nano-USD, {held} are held");
    let (outcome, _, cost) = only_record(&app).await;
    assert_eq!(outcome, "succeeded");
    assert!(cost < 50 * 10_000);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_account_without_money_is_no_fault_of_the_caller() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::UsedUp);

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_model_that_keeps_failing_is_left_alone() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.always(Whom::Model("gpt-4o-mini".into()), down());
    for _ in 0..2 {
        owner.post("/v1/chat/completions", chat()).await;
    }
    let tried = provider_calls(&app);

    let reply = owner.post("/v1/chat/completions", chat()).await;

    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    assert_eq!((tried, provider_calls(&app)), (5, 5), "five failures are enough");
    owner.post("/v1/chat/completions", asking("gpt-4o")).await.ok();
}

#[tokio::test]
async fn with_every_provider_down_the_rest_of_the_api_answers() {
    let app =
        TestApp::start_with(|it| it.ai.openai_base_url = "http://127.0.0.1:1/v1".into()).await;
    let owner = app.owner().await;

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert!(reply.header("retry-after").is_some());
    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    for path in ["/v1/models", "/v1/quotas", "/v1/usage", "/v1/projects"] {
        owner.get(path).await.ok();
    }
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_route_is_changed_while_the_product_runs_and_keeps_its_versions() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    route(&app, "house", &["gpt-4o"]).await;
    route(&app, "house", &["gpt-4o-mini"]).await;

    let reply = owner.post("/v1/chat/completions", asking("house")).await;

    assert_eq!(reply.header("x-slipway-model"), Some("gpt-4o-mini"));
    let history = Route::history(app.db.pool(), "house").await.unwrap();
    let versions: Vec<i32> = history.iter().map(|route| route.version).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(history[1].rules[0].models, ["gpt-4o"]);
}

#[tokio::test]
async fn auto_chooses_by_what_is_asked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let small = owner.post("/v1/chat/completions", asking("auto")).await;
    let vector = json!({ "model": "auto", "input": "hello" });
    let vector = owner.post("/v1/embeddings", vector).await;

    assert_eq!(small.header("x-slipway-model"), Some("gpt-4o-mini"));
    assert_eq!(vector.header("x-slipway-model"), Some("text-embedding-3-small"));
}
