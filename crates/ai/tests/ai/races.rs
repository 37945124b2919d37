use futures::future::join_all;
use quotas::{Kind, NewBudget, Period, Scope, Unit};
use reqwest::StatusCode;
use testing::{Client, TestApp};

use crate::{calls::give_credits, chat, provider_calls, streamed, usage};

/// Sends `count` calls at once; answers how many were served, and the codes of the rest.
async fn storm(client: &Client, count: usize) -> (usize, Vec<String>) {
    let calls = (0..count).map(|n| {
        let body = if n % 2 == 0 { chat() } else { streamed() };
        async move { client.post("/v1/chat/completions", body).await }
    });
    let replies = join_all(calls).await;
    let served = replies.iter().filter(|reply| reply.status == StatusCode::OK).count();
    let refused = replies.into_iter().filter(|reply| reply.status != StatusCode::OK);
    (served, refused.map(|reply| reply.problem().1).collect())
}

pub(crate) async fn limit(app: &TestApp, owner: &Client, scope: Scope, unit: Unit, amount: i64) {
    let budget = NewBudget {
        scope,
        org: (scope != Scope::Global).then(|| owner.org()),
        subject: (scope == Scope::User).then(|| owner.user().uuid()),
        kind: Kind::Limit,
        period: Period::Day,
        unit,
        amount,
        operation: None,
        soft: false,
    };
    let mut tx = app.db.begin().await.unwrap();
    budget.set(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_parallel_calls_against_a_budget_of_ten_run_the_provider_ten_times() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 1000).await;
    limit(&app, &owner, Scope::Org, Unit::Requests, 10).await;

    let (served, refused) = storm(&owner, 200).await;

    assert_eq!(served, 10);
    assert_eq!(refused, vec!["quota_exhausted"; 190], "every call reached the reservation");
    assert_eq!(provider_calls(&app), 10);
    assert_eq!(usage(&owner).await["calls"], 10);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_spend_every_credit_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 5).await;

    let (served, refused) = storm(&owner, 100).await;

    assert_eq!(served, 5 + 5, "the plan's five and the five credits");
    assert_eq!(refused, vec!["quota_exhausted"; 90]);
    assert_eq!(provider_calls(&app), 10);
    let quotas = owner.get("/v1/quotas").await.ok();
    assert_eq!(quotas["credits"]["available"], 0);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platforms_budget_stops_everybody_together() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    give_credits(&app, &ours, 1000).await;
    give_credits(&app, &theirs, 1000).await;
    limit(&app, &ours, Scope::Global, Unit::Requests, 7).await;

    let (a, b) = futures::join!(storm(&ours, 40), storm(&theirs, 40));

    assert_eq!(a.0 + b.0, 7);
    assert!(a.1.iter().chain(&b.1).all(|code| code == "ai_unavailable"));
    assert_eq!(provider_calls(&app), 7);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_count_against_a_spend_limit_at_the_most_they_can_cost() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 1000).await;
    // One call can cost about 50 tokens of answer and 100 of prompt: room for two at a time.
    limit(&app, &owner, Scope::User, Unit::NanoUsd, 120_000).await;
    app.simulators.ai.hold();

    let storming = storm(&owner, 30);
    let releasing = async {
        app.simulators.ai.wait_for_calls(1).await;
        app.simulators.ai.release();
    };
    let ((served, _), ()) = futures::join!(storming, releasing);

    let spent = usage(&owner).await["cost_nano_usd"].as_i64().unwrap();
    assert!(served >= 1 && spent <= 120_000, "{served} calls cost {spent}");
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_while_its_call_is_being_reserved_leaves_nothing_half_done() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut blocking = app.db.begin().await.unwrap();
    sqlx::query("select from budgets for update").execute(&mut *blocking).await.unwrap();

    for body in [chat(), streamed()] {
        let call = owner.request(reqwest::Method::POST, "/v1/chat/completions").json(&body);
        let gone = call.timeout(std::time::Duration::from_millis(100)).send().await;
        assert!(gone.unwrap_err().is_timeout());
    }
    blocking.rollback().await.unwrap();
    app.ai.drain().await;

    let holds: i64 =
        sqlx::query_scalar("select count(*) from holds").fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(holds, 0);
    assert_eq!(usage(&owner).await["calls"], provider_calls(&app));
    app.assert_books_balance().await;
}
