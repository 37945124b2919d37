use simulators::ai::{Fault, Usage};
use testing::TestApp;

use crate::{calls::give_credits, chat, left_today, only_record, provider_calls, streamed, usage};

#[tokio::test]
async fn a_transient_failure_is_tried_again_and_charged_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::Status { status: 429, retry_after: None });
    app.simulators.ai.next(Fault::Status { status: 500, retry_after: None });

    owner.post("/v1/chat/completions", chat()).await.ok();

    assert_eq!(provider_calls(&app), 3);
    assert_eq!(usage(&owner).await["calls"], 1);
    assert_eq!(left_today(&owner).await, 4);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_provider_that_stays_down_costs_nothing_and_says_when_to_retry() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next_n(10, Fault::Status { status: 503, retry_after: None });

    for request in [chat(), streamed()] {
        let reply = owner.post("/v1/chat/completions", request).await;
        assert!(reply.header("retry-after").is_some());
        assert_eq!(reply.body["retryable"], true);
        assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    }

    assert_eq!(usage(&owner).await["calls"], 0);
    assert_eq!(left_today(&owner).await, 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_lost_answer_is_the_platforms_cost_and_not_tried_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::Reset);

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    assert_eq!(provider_calls(&app), 1);
    assert_eq!(left_today(&owner).await, 5, "the customer got it back");
    let (outcome, payer, cost) = only_record(&app).await;
    assert_eq!((outcome.as_str(), payer.as_str()), ("unknown", "platform"));
    assert_eq!(platform_spent(&app).await, cost, "the platform's budget keeps counting it");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_missing_usage_is_estimated_and_flagged() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    for request in [chat(), streamed()] {
        app.simulators.ai.next(Fault::NoUsage);
        owner.post("/v1/chat/completions", request).await.ok_text();
    }

    let estimated: i64 = sqlx::query_scalar("select count(*) from usage_records where estimated")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(estimated, 2);
    assert!(usage(&owner).await["output_tokens"].as_i64().unwrap() > 0);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_absurd_usage_never_charges_the_customer_more_than_was_reserved() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let absurd = Usage {
        prompt_tokens: 800_000_000,
        completion_tokens: 900_000_000,
        cached_tokens: 7,
        reasoning_tokens: 0,
        ..Usage::default()
    };
    app.simulators.ai.next(Fault::Usage(absurd));

    owner.post("/v1/chat/completions", chat()).await.ok();

    let quotas = owner.get("/v1/quotas").await.ok();
    let spend = quotas["budgets"].as_array().unwrap().iter().find(|it| it["unit"] == "nano_usd");
    assert!(spend.unwrap()["used"].as_i64().unwrap() < 1_000_000, "{quotas}");
}

#[tokio::test]
async fn a_negative_usage_is_never_a_gift() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    for (prompt_tokens, completion_tokens) in [(-5, 7), (5, -7), (-5, -7), (i64::MIN, i64::MIN)] {
        for request in [chat(), streamed()] {
            let (cached_tokens, reasoning_tokens) = (-9, 0);
            app.simulators.ai.next(Fault::Usage(Usage {
                prompt_tokens,
                completion_tokens,
                cached_tokens,
                reasoning_tokens,
                ..Usage::default()
            }));
            owner.post("/v1/chat/completions", request).await.ok_text();
        }
    }

    let (calls, least, estimated): (i64, i64, i64) = sqlx::query_as(
        "select count(*), min(cost_nano_usd), count(*) filter (where estimated) from usage_records",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!((calls, estimated), (8, 8));
    assert!(least > 0);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_time_out_of_somebody_between_us_and_the_provider_is_not_tried_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::Status { status: 504, retry_after: None });

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
    assert_eq!(provider_calls(&app), 1);
    assert_eq!(only_record(&app).await.0, "unknown");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stream_that_breaks_before_it_says_anything_costs_the_customer_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::CutAfter { chunks: 1 });

    let reply = owner.post("/v1/chat/completions", streamed()).await;

    assert!(reply.text.contains("ai_unavailable"), "{}", reply.text);
    assert_eq!(left_today(&owner).await, 5);
    assert_eq!(only_record(&app).await.0, "unknown");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_call_never_outlives_its_reservation() {
    let app = TestApp::start_with(|settings| {
        settings.quotas.ai_hold_seconds = 3;
        settings.ai.ai_longest_stream_seconds = 3;
    })
    .await;
    let owner = app.owner().await;

    for (fault, request) in [
        (Fault::Hang, chat()),
        (Fault::Hang, streamed()),
        (Fault::Slow { millis_per_chunk: 900 }, streamed()),
    ] {
        app.simulators.ai.next(fault);
        let reply = owner.post("/v1/chat/completions", request).await;
        assert!(reply.text.contains("ai_unavailable"), "{}", reply.text);
    }

    let holds: i64 =
        sqlx::query_scalar("select count(*) from holds").fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(holds, 0, "all were settled in time");
    assert_eq!(usage(&owner).await["calls"], 3);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_the_provider_refuses_is_the_callers_to_correct() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.problem(), (400, "provider_refused".into()));
    assert_eq!(provider_calls(&app), 1);
    assert_eq!(left_today(&owner).await, 5);
}

#[tokio::test]
async fn our_own_key_being_refused_is_not_the_callers_401() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next_n(3, Fault::Status { status: 401, retry_after: None });

    let reply = owner.post("/v1/chat/completions", chat()).await;

    assert_eq!(reply.problem(), (503, "ai_unavailable".into()));
}

async fn platform_spent(app: &TestApp) -> i64 {
    sqlx::query_scalar("select spent from budgets where scope = 'global' and period = 'day'")
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}
