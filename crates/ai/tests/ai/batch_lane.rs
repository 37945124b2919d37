//! Batches that the provider makes as its own, at its price for them: whatever becomes of them, each call is
//! made once, charged once, and at the price that the provider bills.

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulators::ai::BatchFault;
use testing::{Client, Reply, TestApp};

use crate::{
    batches::{create, ended, line, lines, read, show},
    calls::give_credits,
    left_today, provider_calls, usage,
};

/// What happens every minute.
async fn minute(app: &TestApp) {
    let add = "select graphile_worker.add_job('ai.run_batches', '{\"job\": {}}'::json)";
    sqlx::query(add).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    app.ai.drain().await;
}

async fn count(app: &TestApp, rows: &str) -> i64 {
    let query = format!("select count(*) from {rows}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(app.db.pool()).await.unwrap()
}

/// A batch of so many calls that the provider has begun.
async fn under_way(app: &TestApp, owner: &Client, calls: usize) -> Value {
    give_credits(app, owner, 100).await;
    app.simulators.ai.hold_batches();
    let batch = create(owner, &lines(calls)).await;
    minute(app).await;
    let held = usize::try_from(count(app, "holds").await).unwrap();
    assert_eq!((app.simulators.ai.batches(), held), (1, calls));
    batch
}

/// The same with an API key, which outlives a session.
async fn with_key(owner: &Client) -> Client {
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    owner.with_key(key["secret"].as_str().unwrap())
}

async fn cancel(owner: &Client, batch: &Value) {
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    let cancelled = owner.request(reqwest::Method::POST, &path).send().await.unwrap();
    Reply::read(cancelled).await.ok();
}

/// What the answers cost at so many nano-USD per thousand tokens of the prompt and of the answer.
fn cost_of(answers: &[Value], input: i64, output: i64) -> i64 {
    let tokens =
        |answer: &Value, name: &str| answer["response"]["body"]["usage"][name].as_i64().unwrap();
    let cost = |it: &Value| {
        let cost = tokens(it, "prompt_tokens") * input + tokens(it, "completion_tokens") * output;
        (cost + 999) / 1000
    };
    answers.iter().map(cost).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_the_provider_makes_costs_its_price_for_batches() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;

    let batch = create(&owner, &lines(6)).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 6, "completed": 6, "failed": 0 }));
    let answers = read(&owner, &batch["output_file_id"]).await;
    let ids: Vec<_> = answers.iter().map(|it| it["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["call-0", "call-1", "call-2", "call-3", "call-4", "call-5"]);
    let usage = usage(&owner).await;
    assert_eq!(usage["cost_nano_usd"], cost_of(&answers, 75_000, 300_000), "half of the usual");
    assert_eq!(usage["calls"], 6);
    assert_eq!(count(&app, "usage_records where in_batch").await, 6);
    let provider = &app.simulators.ai;
    assert_eq!((provider.batches(), provider.batched_calls(), provider_calls(&app)), (1, 6, 0));
    assert_eq!(provider.files(), 0, "nothing stays with the provider");
    assert_eq!(count(&app, "holds").await, 0);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_model_is_a_batch_of_its_own_and_what_the_provider_cannot_take_is_made_by_us() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    let unpriced = line("unpriced", "gpt-unpriced");
    let content = lines(3) + &line("other", "gpt-4.1-nano") + "\n" + &unpriced + "\n";

    let batch = create(&owner, &content).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 5, "completed": 4, "failed": 1 }));
    assert_eq!((app.simulators.ai.batches(), app.simulators.ai.batched_calls()), (2, 4));
    let failed = read(&owner, &batch["error_file_id"]).await;
    assert_eq!(failed[0]["response"]["body"]["error"]["code"], "unknown_model");
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_stops_a_batch_before_the_provider_hears_of_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let batch = create(&owner, &lines(9)).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 9, "completed": 5, "failed": 4 }));
    let refused = read(&owner, &batch["error_file_id"]).await;
    assert!(refused.iter().all(|it| it["response"]["body"]["code"] == "quota_exhausted"));
    assert_eq!((app.simulators.ai.batched_calls(), provider_calls(&app)), (5, 0));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_provider_works_its_calls_are_reserved_for_as_long_as_it_takes() {
    let app = TestApp::start().await;
    let owner = with_key(&app.owner().await).await;
    app.simulators.ai.hold_batches();
    let batch = create(&owner, &lines(5)).await;
    minute(&app).await;
    assert_eq!(left_today(&owner).await, 0);

    app.advance(TimeDelta::hours(11));
    app.quotas.reap().await.unwrap();
    minute(&app).await;
    assert_eq!(
        (show(&owner, &batch).await["status"].as_str(), count(&app, "holds").await),
        (Some("in_progress"), 5)
    );

    app.simulators.ai.release_batches();
    minute(&app).await;
    assert_eq!(show(&owner, &batch).await["status"], "completed");
    assert_eq!((usage(&owner).await["calls"].as_i64(), app.simulators.ai.batches()), (Some(5), 1));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_it_charges_what_the_provider_had_made_by_then() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let batch = under_way(&app, &owner, 5).await;
    app.simulators.ai.advance_batches(2);

    cancel(&owner, &batch).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["status"], "cancelled");
    assert_eq!(batch["request_counts"], json!({ "total": 5, "completed": 2, "failed": 0 }));
    let not_made = read(&owner, &batch["error_file_id"]).await;
    assert!(not_made.iter().all(|it| it["error"]["code"] == "batch_cancelled"), "{not_made:?}");
    assert_eq!((not_made.len(), &usage(&owner).await["calls"]), (3, &json!(2)));
    assert_eq!((count(&app, "holds").await, provider_calls(&app)), (0, 0));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_it_is_stopped_at_the_provider_too() {
    let app = TestApp::start().await;
    let client = with_key(&app.owner().await).await;
    let batch = under_way(&app, &client, 3).await;
    app.simulators.ai.advance_batches(1);

    app.advance(TimeDelta::hours(24));
    minute(&app).await;

    let batch = show(&client, &batch).await;
    assert_eq!(batch["status"], "expired");
    assert_eq!(batch["request_counts"], json!({ "total": 3, "completed": 1, "failed": 0 }));
    let not_made = read(&client, &batch["error_file_id"]).await;
    assert!(not_made.iter().all(|it| it["error"]["code"] == "batch_expired"), "{not_made:?}");
    assert_eq!(count(&app, "usage_records").await, 1);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_provider_did_not_get_to_is_made_by_us_at_the_usual_price() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let batch = under_way(&app, &owner, 4).await;
    app.simulators.ai.advance_batches(1);
    app.simulators.ai.expire_batches();

    minute(&app).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 4, "completed": 4, "failed": 0 }));
    assert_eq!((app.simulators.ai.batched_calls(), provider_calls(&app)), (1, 3));
    let answers = read(&owner, &batch["output_file_id"]).await;
    let cost = cost_of(&answers[..1], 75_000, 300_000) + cost_of(&answers[1..], 150_000, 600_000);
    assert_eq!(usage(&owner).await["cost_nano_usd"], cost);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_costs_nothing_and_the_others_are_charged() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    let refused =
        line("refused", "gpt-4o-mini").replace("\"role\":\"user\"", "\"role\":\"nobody\"");
    app.simulators.ai.next_batch(BatchFault::LineFails);

    let batch = create(&owner, &(refused + "\n" + &lines(3))).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 4, "completed": 3, "failed": 1 }));
    let failed = read(&owner, &batch["error_file_id"]).await;
    assert_eq!(failed[0]["response"]["body"]["code"], "provider_refused", "{failed:?}");
    assert_eq!(provider_calls(&app), 1, "one failed by the provider's fault, and was made by us");
    assert_eq!(
        (usage(&owner).await["calls"].as_i64(), count(&app, "usage_records").await),
        (Some(3), 3)
    );
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_has_no_batches_or_refuses_one_is_asked_call_by_call() {
    for fault in [None, Some(BatchFault::Invalid)] {
        let app = TestApp::start().await;
        let owner = app.owner().await;
        give_credits(&app, &owner, 100).await;
        match fault {
            None => app.simulators.ai.without_batches(true),
            Some(fault) => app.simulators.ai.next_batch(fault),
        }

        let batch = create(&owner, &lines(3)).await;
        let batch = ended(&app, &owner, &batch).await;

        assert_eq!(batch["request_counts"], json!({ "total": 3, "completed": 3, "failed": 0 }));
        assert_eq!((app.simulators.ai.batched_calls(), provider_calls(&app)), (0, 3), "{fault:?}");
        let answers = read(&owner, &batch["output_file_id"]).await;
        assert_eq!(usage(&owner).await["cost_nano_usd"], cost_of(&answers, 150_000, 600_000));
        assert_eq!(count(&app, "usage_records where in_batch").await, 0);
        app.assert_books_balance().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_the_provider_lost_is_the_platforms() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next_batch(BatchFault::LineLost);

    let batch = create(&owner, &lines(2)).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 1, "failed": 1 }));
    let lost = read(&owner, &batch["error_file_id"]).await;
    assert_eq!(lost[0]["response"]["body"]["code"], "outcome_unknown");
    assert_eq!(left_today(&owner).await, 4, "the customer pays for one");
    let unknown = "usage_records where outcome = 'unknown' and paid_by = 'platform'";
    assert_eq!(count(&app, unknown).await, 1);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_usage_are_estimated() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next_batch(BatchFault::NoUsage);

    let batch = create(&owner, &lines(1)).await;
    ended(&app, &owner, &batch).await;

    assert_eq!(
        count(&app, "usage_records where estimated and in_batch and cost_nano_usd > 0").await,
        1
    );
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_making_was_not_confirmed_is_found_again_and_not_made_twice() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    app.simulators.ai.next_batch(BatchFault::AnswerLost);
    let batch = create(&owner, &lines(3)).await;
    minute(&app).await;
    app.advance(TimeDelta::minutes(4));
    minute(&app).await;
    assert_eq!(show(&owner, &batch).await["status"], "in_progress", "it may still be on its way");

    app.advance(TimeDelta::minutes(2));
    minute(&app).await;

    assert_eq!(show(&owner, &batch).await["request_counts"]["completed"], 3);
    let provider = &app.simulators.ai;
    assert_eq!((provider.batches(), provider.batched_calls(), provider_calls(&app)), (1, 3, 0));
    assert_eq!(usage(&owner).await["calls"], 3);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_out_of_reach_gets_the_batch_later_and_after_an_hour_we_make_it() {
    let app = TestApp::start().await;
    let owner = with_key(&app.owner().await).await;
    give_credits(&app, &owner, 100).await;
    app.simulators.ai.fail_uploads(100);
    let batch = create(&owner, &lines(2)).await;
    minute(&app).await;
    minute(&app).await;
    assert_eq!(
        (show(&owner, &batch).await["status"].as_str(), count(&app, "holds").await),
        (Some("in_progress"), 2)
    );

    app.advance(TimeDelta::minutes(61));
    minute(&app).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"]["completed"], 2);
    assert_eq!((app.simulators.ai.batches(), provider_calls(&app)), (0, 2));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ai_switched_off_keeps_a_batch_from_the_provider() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    owner.put("/v1/ai-control", json!({ "on": false, "reason": "a test" })).await.ok();
    let batch = create(&owner, &lines(2)).await;
    minute(&app).await;
    assert_eq!((app.simulators.ai.batches(), count(&app, "holds").await), (0, 0));

    owner.put("/v1/ai-control", json!({ "on": true })).await.ok();
    app.advance(TimeDelta::minutes(1));
    minute(&app).await;
    assert_eq!(show(&owner, &batch).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_looked_up_with_the_key_that_made_it() {
    let keys = "sk-one,sk-two,sk-three";
    let app = TestApp::start_with(|it| it.ai.openai_api_key = Some(keys.to_owned().into())).await;
    let owner = app.owner().await;
    let batch = under_way(&app, &owner, 2).await;
    for _ in 0..4 {
        minute(&app).await;
    }
    app.simulators.ai.release_batches();
    minute(&app).await;
    assert_eq!(show(&owner, &batch).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_never_tells_leaves_its_calls_to_the_platform() {
    let app = TestApp::start().await;
    let client = with_key(&app.owner().await).await;
    let batch = under_way(&app, &client, 2).await;
    app.simulators.ai.without_batches(true);

    app.advance(TimeDelta::hours(30));
    minute(&app).await;

    let batch = show(&client, &batch).await;
    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 0, "failed": 2 }));
    let unknown = "usage_records where outcome = 'unknown' and paid_by = 'platform'";
    assert_eq!((count(&app, unknown).await, count(&app, "holds").await), (2, 0));
    app.assert_books_balance().await;
}
