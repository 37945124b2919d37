use serde_json::json;
use testing::TestApp;

use crate::{chat, left_today, provider_calls, usage};

#[tokio::test]
async fn an_answer_is_passed_on_and_its_exact_cost_recorded() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let answer = owner.post("/v1/chat/completions", chat()).await.ok();

    let (input, output) =
        (&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]);
    let cost = input.as_i64().unwrap() * 150 + output.as_i64().unwrap() * 600;
    let usage = usage(&owner).await;
    assert_eq!(usage["calls"], 1);
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (input, output));
    assert_eq!(usage["cost_nano_usd"], cost);
    assert_eq!(left_today(&owner).await, 4);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn embeddings_and_images_are_metered_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let vector = json!({ "model": "text-embedding-3-small", "input": "hello" });
    let vector = owner.post("/v1/embeddings", vector).await.ok();
    let image = json!({ "model": "gpt-image-1", "prompt": "a slipway", "n": 2 });
    let image = owner.post("/v1/images/generations", image).await.ok();

    assert!(vector["data"][0]["embedding"].is_array());
    assert_eq!(image["data"].as_array().unwrap().len(), 2);
    let usage = usage(&owner).await;
    let tokens = vector["usage"]["prompt_tokens"].as_i64().unwrap();
    assert_eq!(usage["images"], 2);
    let (prompt, drawn) = (&image["usage"]["input_tokens"], &image["usage"]["output_tokens"]);
    let image = prompt.as_i64().unwrap() * 5_000 + drawn.as_i64().unwrap() * 40_000;
    assert_eq!(usage["cost_nano_usd"], tokens * 20 + image);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_before_the_provider_is_asked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut request = chat();
    request["model"] = "gpt-unpriced".into();

    let reply = owner.post("/v1/chat/completions", request).await;

    assert_eq!(reply.body["error"]["code"], "unknown_model");
    assert_eq!(reply.problem(), (404, "unknown_model".into()));
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn models_are_listed_as_openai_lists_them() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let models = owner.get("/v1/models").await.ok();
    let one = owner.get("/v1/models/gpt-4o-mini").await.ok();

    assert_eq!(models["object"], "list");
    assert!(models["data"].as_array().unwrap().contains(&one));
    assert_eq!(owner.get("/v1/models/none").await.problem(), (404, "unknown_model".into()));
}

#[tokio::test]
async fn the_plan_is_used_up_then_credits_pay_then_nothing_does() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for _ in 0..5 {
        owner.post("/v1/chat/completions", chat()).await.ok();
    }

    let refused = owner.post("/v1/chat/completions", chat()).await;
    let resets_at = refused.body["resets_at"].as_str().unwrap().to_owned();
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(refused.problem(), (429, "quota_exhausted".into()));
    let midnight: chrono::DateTime<chrono::Utc> = resets_at.parse().unwrap();
    assert!((midnight - app.clock.now()).num_seconds().abs_diff(wait) <= 1);

    give_credits(&app, &owner, 2).await;
    owner.post("/v1/chat/completions", chat()).await.ok();
    owner.post("/v1/chat/completions", chat()).await.ok();
    let refused = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(refused.problem(), (429, "quota_exhausted".into()));
    assert_eq!(usage(&owner).await["credits"], 2);
    assert_eq!(provider_calls(&app), 7);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_call_that_can_cost_more_than_the_credits_left_is_refused_as_unpaid() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for _ in 0..5 {
        owner.post("/v1/chat/completions", chat()).await.ok();
    }
    give_credits(&app, &owner, 1).await;
    let mut dear = chat();
    dear["model"] = "gpt-4o".into();

    let refused = owner.post("/v1/chat/completions", dear).await;

    assert_eq!(refused.body["credits_available"], 1);
    assert_eq!(refused.problem(), (402, "insufficient_credits".into()));
}

#[tokio::test]
async fn the_plan_includes_calls_again_the_next_day() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "k" })).await.ok();
    let program = owner.with_key(key["secret"].as_str().unwrap());
    for _ in 0..5 {
        program.post("/v1/chat/completions", chat()).await.ok();
    }
    assert_eq!(program.post("/v1/chat/completions", chat()).await.status, 429);

    app.advance(chrono::TimeDelta::days(1));

    program.post("/v1/chat/completions", chat()).await.ok();
    app.assert_books_balance().await;
}

#[tokio::test]
async fn counts_that_make_no_sense_are_refused_with_their_field() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    for (field, value) in [("max_tokens", -1), ("n", 0), ("n", 129), ("max_completion_tokens", 0)] {
        let mut request = chat();
        request[field] = value.into();
        let reply = owner.post("/v1/chat/completions", request).await;
        assert_eq!(reply.problem(), (422, "invalid_field".into()), "{field} {value}");
    }
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn what_may_change_the_cost_of_a_call_is_refused_before_it_is_made() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let image = json!({ "url": "https://example.com/a.png" });
    let parts = |parts: serde_json::Value| json!([{ "role": "user", "content": parts }]);

    for (field, value) in [
        ("service_tier", json!("priority")),
        ("prediction", json!({ "type": "content", "content": "a" })),
        ("web_search_options", json!({})),
        ("store", json!(true)),
        ("messages", parts(json!([{ "type": "input_audio", "input_audio": {} }]))),
        ("messages", parts(json!([{ "type": "file", "file": {} }]))),
        ("messages", parts(json!([{ "type": "image_url", "image_url": "https://example.com" }]))),
        ("messages", parts(json!([{ "image_url": image }]))),
    ] {
        let mut request = chat();
        request[field] = value;
        let reply = owner.post("/v1/chat/completions", request).await;
        assert_eq!(reply.status, 422, "{field}: {}", reply.text);
    }
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn the_provider_is_told_the_limit_that_was_reserved() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let sent = |app: &TestApp| app.simulators.ai.state().calls.back().unwrap().body.clone();

    let mut both = chat();
    both["max_completion_tokens"] = 5.into();
    owner.post("/v1/chat/completions", both).await.ok();
    assert_eq!(
        (&sent(&app)["max_tokens"], &sent(&app)["max_completion_tokens"]),
        (&json!(50), &json!(null))
    );

    let mut neither = chat();
    neither.as_object_mut().unwrap().remove("max_tokens");
    owner.post("/v1/chat/completions", neither).await.ok();
    assert_eq!(sent(&app)["max_completion_tokens"], 16_384);
}

#[tokio::test]
async fn a_call_that_fits_no_budget_even_when_fresh_says_so() {
    let app = TestApp::start_with(|settings| settings.quotas.ai_budget_per_day_usd = 0).await;
    let owner = app.owner().await;

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.problem(), (422, "call_too_large".into()));
}

pub(crate) async fn give_credits(app: &TestApp, client: &testing::Client, amount: i64) {
    let grant = quotas::NewGrant {
        org: client.org(),
        source: quotas::GrantSource::Admin,
        amount,
        expires_at: None,
        external_id: format!("test:{}:{amount}", client.org()),
    };
    let mut tx = app.db.begin().await.unwrap();
    assert!(grant.give(&mut tx, app.clock.now()).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn errors_of_every_layer_carry_openais_error_object() {
    let app = TestApp::start_with(|it| it.rate_limit.rate_limits = rate_limit::Switch::On).await;
    let owner = app.owner().await;

    let nobody = app.anonymous().post("/v1/chat/completions", chat()).await;
    let mut huge = chat();
    huge["messages"][0]["content"] = "a".repeat(21 * 1024 * 1024).into();
    let huge = owner.post("/v1/chat/completions", huge).await;
    let mut busy = owner.post("/v1/embeddings", json!({})).await;
    for _ in 0..30 {
        busy = owner.post("/v1/embeddings", json!({})).await;
    }

    for (reply, status) in [(nobody, 401), (huge, 413), (busy, 429)] {
        assert_eq!(reply.status, status, "{}", reply.text);
        assert!(reply.body["error"]["message"].is_string(), "{}", reply.text);
        assert_eq!(reply.body["error"]["code"], reply.body["code"]);
    }
}

#[tokio::test]
async fn numbers_that_are_none_reserve_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let numbers = ["0", "-5", "1.5", "1e400", "NaN", "9223372036854775807", "-9223372036854775808"];
    for number in numbers {
        for field in ["max_tokens", "max_completion_tokens", "n"] {
            let body = format!(
                r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"hi"}}],"{field}":{number}}}"#
            );
            let request = owner.request(reqwest::Method::POST, "/v1/chat/completions");
            let request = request.header("content-type", "application/json").body(body);
            let refused = testing::Reply::read(request.send().await.unwrap()).await;
            assert!([400, 422].contains(&refused.problem().0), "{field}: {number}");
        }
    }
    let written: i64 = sqlx::query_scalar(
        "select (select count(*) from holds) + (select count(*) from usage_records)",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!((written, provider_calls(&app)), (0, 0));
}

#[tokio::test]
async fn a_model_that_is_explicitly_free_costs_nothing_and_needs_no_budget_of_money() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    sqlx::query(
        "insert into prices (id, model_id, effective_from, free, credits, source)
         select gen_random_uuid(), id, $1, true, 0, 'test' from models where name = 'gpt-4o-mini'",
    )
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
    let penniless = json!({ "scope": "org", "period": "month", "unit": "nano_usd", "amount": 1 });
    owner.post("/v1/budgets", penniless).await.ok();

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.header("x-slipway-cost-nano-usd"), Some("0"));
    reply.ok();
    let mut priced = chat();
    priced["model"] = "gpt-4o".into();
    let refused = owner.post("/v1/chat/completions", priced).await;
    assert_eq!(refused.problem(), (422, "call_too_large".into()));
    assert_eq!(usage(&owner).await["cost_nano_usd"], 0);
    app.assert_books_balance().await;
}
